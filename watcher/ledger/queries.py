"""What pages, API, metrics and commands ask the ledger: plain functions on a connection that cannot write.

Every answer is a frozen row of a bounded page. A question that could touch the whole ledger is asked
incrementally (`figures.py`) or by cursor (`history.py`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from watcher.bitcoin.hashing import display, sha256d
from watcher.core.payload import envelope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from watcher.bitcoin.types import Sats
    from watcher.core.events import Data

PAGE_LIMIT: Final = 1000  # CONTRACT: `limit` 1 to 1000; nobody gets more rows in one answer


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of the log; `body` is its `data` as JSON text."""

    sequence: int
    type: str
    at_ms: int
    body: str

    def payload(self) -> Data:
        """The event as webhooks, API and stream tell it."""
        return envelope(self.type, self.at_ms, json.loads(self.body))


@dataclass(frozen=True, slots=True)
class TipRow:
    """The last header of our chain; `time` is the miner's, in seconds."""

    height: int
    hash: str
    time: int


@dataclass(frozen=True, slots=True)
class Complete:
    """The block up to which the named sources' word makes a balance complete, and when they gave it."""

    height: int
    hash: str
    at_ms: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TreasuryRow:
    """A treasury as it stands. Balances are None before its first complete reading: unknown is not zero.

    `scripts` are those on the list now, `read` those of them whose history was read in full at least once;
    `unproven` transactions wait for their branch, and `seconds_left` is what that or the reading takes still.
    """

    name: str
    title: str
    attribution: str
    confirmed: Sats | None
    pending: Sats | None
    baselined_ms: int | None
    last_change_ms: int | None
    complete: Complete | None
    scripts: int
    read: int
    unproven: int = 0
    seconds_left: float | None = None

    @property
    def baseline_ratio(self) -> float:
        """How much of the first reading is done, from 0 to 1."""
        return self.read / self.scripts if self.scripts else 1.0


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery of the outbox, without the bytes it sends."""

    id: int
    endpoint: str
    webhook_id: str
    sequence: int
    type: str
    incident: str | None
    created_ms: int
    state: str
    attempts: int
    due_ms: int
    done_ms: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """What is owed to one endpoint; `oldest_due_ms` is None when nothing is.

    `paused_until_ms` is when its last pause ends or ended; None where there never was one.
    """

    endpoint: str
    pending: int
    dead: int
    oldest_due_ms: int | None
    paused_until_ms: int | None


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Several questions inside are answered as of one moment, whatever is committed meanwhile."""
    inside = connection.in_transaction
    if inside:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        # SQLite has ended the transaction itself where it interrupted a question
        if connection.in_transaction:
            connection.rollback()


def log_id(connection: sqlite3.Connection) -> str:
    """The log's identity, made at creation and again by a restore."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'log'").fetchone()
    return str(row["value"])


def last_sequence(connection: sqlite3.Connection) -> int:
    """The log's end; 0 while it is empty."""
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0])


def newest_ms(connection: sqlite3.Connection) -> int:
    """When the last event of the log was told; 0 while it is empty."""
    row = connection.execute("SELECT at_ms FROM events ORDER BY sequence DESC LIMIT 1").fetchone()
    return 0 if row is None else int(row["at_ms"])


def events_after(connection: sqlite3.Connection, sequence: int, limit: int) -> list[EventRow]:
    """At most `limit` events after `sequence`, oldest first."""
    rows = connection.execute(
        "SELECT sequence, type, at_ms, body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
        (sequence, min(limit, PAGE_LIMIT)),
    )
    return [EventRow(row["sequence"], row["type"], row["at_ms"], row["body"]) for row in rows]


def tip(connection: sqlite3.Connection) -> TipRow | None:
    """Our chain's last block; None before the first header."""
    row = connection.execute("SELECT height, raw FROM headers ORDER BY height DESC LIMIT 1").fetchone()
    if row is None:
        return None
    raw = bytes(row["raw"])
    return TipRow(row["height"], display(sha256d(raw)), int.from_bytes(raw[68:72], "little"))


def treasuries(connection: sqlite3.Connection) -> list[TreasuryRow]:
    """Every treasury of the config, by name; what is no longer in it keeps its history."""
    rows = connection.execute("SELECT * FROM treasuries WHERE listed = 1 ORDER BY name")
    return [_treasury(connection, row) for row in rows]


def treasury(connection: sqlite3.Connection, name: str) -> TreasuryRow | None:
    """One treasury; None where there is none of that name."""
    row = connection.execute("SELECT * FROM treasuries WHERE name = ?", (name,)).fetchone()
    return None if row is None else _treasury(connection, row)


def _treasury(connection: sqlite3.Connection, row: Mapping[str, Any]) -> TreasuryRow:
    known = row["baselined_ms"] is not None
    complete = None
    if row["complete_height"] is not None:
        complete = Complete(
            height=row["complete_height"],
            hash=row["complete_hash"],
            at_ms=row["complete_ms"],
            sources=tuple(json.loads(row["complete_sources"])),
        )
    scripts = _count(connection, _SCRIPTS, row["name"])
    # the scripts' own rows are visited only while some are unread: they are too many for every scrape
    settled = known and not _count(connection, _UNREAD, row["name"])
    return TreasuryRow(
        name=row["name"],
        title=row["title"],
        attribution=row["attribution"],
        confirmed=row["confirmed"] if known else None,
        pending=row["pending"] if known else None,
        baselined_ms=row["baselined_ms"],
        last_change_ms=row["last_change_ms"],
        complete=complete,
        scripts=scripts,
        read=scripts if settled else _count(connection, _READ, row["name"]),
    )


_SCRIPTS: Final = "SELECT count(*) FROM watches WHERE treasury = ? AND removed_ms IS NULL"
_UNREAD: Final = "SELECT count(*) FROM watches WHERE treasury = ? AND removed_ms IS NULL AND baselined = 0"
_READ: Final = (
    "SELECT count(s.read_ms) FROM watches w JOIN scripts s ON s.id = w.script"
    " WHERE w.treasury = ? AND w.removed_ms IS NULL"
)


def _count(connection: sqlite3.Connection, question: str, treasury_name: str) -> int:
    return int(connection.execute(question, (treasury_name,)).fetchone()[0])


def deliveries(
    connection: sqlite3.Connection,
    *,
    limit: int,
    state: str | None = None,
    endpoint: str | None = None,
    before: int | None = None,
) -> list[DeliveryRow]:
    """At most `limit` deliveries, newest first, older than the id `before`."""
    rows = connection.execute(
        "SELECT d.id, d.endpoint, d.webhook_id, d.sequence, e.type, d.incident, d.created_ms, d.state,"
        " d.attempts, d.due_ms, d.done_ms, d.reason"
        " FROM deliveries d JOIN events e ON e.sequence = d.sequence"
        " WHERE (:state IS NULL OR d.state = :state) AND (:endpoint IS NULL OR d.endpoint = :endpoint)"
        " AND (:before IS NULL OR d.id < :before) ORDER BY d.id DESC LIMIT :limit",
        {"state": state, "endpoint": endpoint, "before": before, "limit": min(limit, PAGE_LIMIT)},
    )
    return [DeliveryRow(*row) for row in rows]


def outbox_counts(connection: sqlite3.Connection) -> list[OutboxRow]:
    """What waits and what is dead, for each endpoint that was ever owed something or paused.

    Costs what waits and what is dead, not what was ever delivered.
    """
    pauses = dict(connection.execute("SELECT endpoint, until_ms FROM pauses").fetchall())
    rows = connection.execute(
        """WITH RECURSIVE owed (endpoint) AS (
             SELECT min(endpoint) FROM deliveries
             UNION ALL
             SELECT (SELECT min(endpoint) FROM deliveries WHERE endpoint > owed.endpoint)
             FROM owed WHERE owed.endpoint IS NOT NULL)
           SELECT endpoint,
             (SELECT count(*) FROM deliveries d WHERE d.endpoint = owed.endpoint AND state = 'pending')
               AS pending,
             (SELECT count(*) FROM deliveries d WHERE d.endpoint = owed.endpoint AND state = 'dead') AS dead,
             (SELECT min(due_ms) FROM deliveries d WHERE d.endpoint = owed.endpoint AND state = 'pending')
               AS oldest
           FROM owed WHERE endpoint IS NOT NULL ORDER BY endpoint"""
    )
    found = [
        OutboxRow(
            row["endpoint"], row["pending"], row["dead"], row["oldest"], pauses.pop(row["endpoint"], None)
        )
        for row in rows
    ]
    return found + [OutboxRow(endpoint, 0, 0, None, until_ms) for endpoint, until_ms in pauses.items()]
