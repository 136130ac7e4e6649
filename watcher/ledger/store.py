"""Writes what was decided: entries, readings, events, balances, deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.payload import body, canonical

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from watcher.core.events import Event
    from watcher.core.fiat import Rate
    from watcher.core.known import Balance, Entry
    from watcher.core.observation import Reading
    from watcher.core.rules import Notice
    from watcher.core.rules_types import Severity


def store_entries(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """The changed lines of the books."""
    connection.executemany(
        """INSERT INTO entries (treasury, tx, state, flow, amount, moved, fee, mixed, confirmed, pending,
             baselined, final, level, incident, correction, stated, confirmed_event, missing_ms)
           VALUES (?, (SELECT id FROM transactions WHERE txid = ?),
             ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (treasury, tx) DO UPDATE SET state = excluded.state, flow = excluded.flow,
             amount = excluded.amount, moved = excluded.moved, fee = excluded.fee, mixed = excluded.mixed,
             confirmed = excluded.confirmed, pending = excluded.pending, baselined = excluded.baselined,
             final = excluded.final, level = excluded.level, incident = excluded.incident,
             correction = excluded.correction, stated = excluded.stated,
             confirmed_event = excluded.confirmed_event, missing_ms = excluded.missing_ms""",
        [
            (
                e.treasury, e.txid, str(e.state), str(e.flow), e.amount, e.moved, e.fee, e.mixed, e.confirmed,
                e.pending, e.baselined, e.final, e.level, e.incident, e.correction, e.stated,
                e.confirmed_event, e.missing_ms,
            )
            for e in entries
        ],
    )  # fmt: skip


def store_readings(connection: sqlite3.Connection, readings: Iterable[Reading], at_ms: int) -> None:
    """What each script's history was, by its hash, when it was last read in full."""
    connection.executemany(
        """UPDATE scripts SET status = ?, read_ms = ?
           WHERE scripthash = ? AND (status IS NOT ? OR read_ms IS NULL)""",
        [(r.status, at_ms, r.scripthash, r.status) for r in readings],
    )


def store_events(
    connection: sqlite3.Connection, events: Iterable[Event], severities: Mapping[str, Severity]
) -> None:
    """Append to the log."""
    connection.executemany(
        """INSERT INTO events (sequence, id, type, treasury, txid, incident, flow, severity, at_ms, body)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            (
                e.sequence,
                e.id,
                e.type,
                e.treasury,
                e.txid,
                e.incident,
                None if e.flow is None else str(e.flow),
                str(severities.get(e.id, "none")),
                e.at_ms,
                canonical(e.data),
            )
            for e in events
        ],
    )


def store_balances(connection: sqlite3.Connection, balances: Mapping[str, Balance], at_ms: int) -> None:
    """The running sums after the last event, and when they last changed."""
    connection.executemany(
        """UPDATE treasuries SET confirmed = ?1, pending = ?2, last_change_ms = ?3
           WHERE name = ?4 AND (confirmed <> ?1 OR pending <> ?2)""",
        [(b.confirmed, b.pending, at_ms, name) for name, b in balances.items()],
    )


def store_notices(
    connection: sqlite3.Connection,
    notices: Iterable[Notice],
    external_url: str,
    at_ms: int,
    *,
    rate: Rate | None = None,
) -> None:
    """Put what is owed into the outbox; its body is fixed here, with amounts at `rate`, if any."""
    connection.executemany(
        """INSERT OR IGNORE INTO deliveries
             (endpoint, webhook_id, sequence, incident, severity, body, created_ms, due_ms)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            (
                n.endpoint,
                n.webhook_id,
                n.event.sequence,
                n.event.incident,
                str(n.severity),
                body(n, external_url, rate),
                at_ms,
                at_ms + int(n.wait_seconds * 1000),
            )
            for n in notices
        ],
    )
