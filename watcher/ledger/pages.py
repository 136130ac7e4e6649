"""The rows that the page lists beyond the API: movements, addresses, incidents.

Movements are those of the present reading, as in `history.py`: what was taken back is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from watcher.ledger.earlier import base_of
from watcher.ledger.queries import PAGE_LIMIT, EventRow, one_moment
from watcher.ledger.sums import above

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping, Sequence

    from watcher.bitcoin.types import Sats

_ADDED_UP: Final = 50_000  # movements of the scripts on one page: about a quarter of a second
_LOOK_BACK: Final = 2_000  # events looked through for the newest incidents
_OF_THE_WATCHER: Final = frozenset({"watcher.canary", "watcher.test"})  # no news: they come by the clock


@dataclass(frozen=True, slots=True)
class Movement:
    """A row of the history, newest first; `balance` is the confirmed one after it, None: not known."""

    place: tuple[int, int, int]
    block_time: int | None
    txid: str
    flow: str
    amount: Sats
    balance: Sats | None
    trust: str
    incident: str
    baselined: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A script on the watch list with its provenance, and what it held.

    `sats` is None while it is not read, or where it moved too often to be added up here (`busy`).
    """

    id: int
    address: str | None
    label: str | None
    published: str | None
    published_by: str | None
    source: str | None
    read: str | None
    licence: str | None
    since: int | None
    sats: Sats | None
    busy: bool


@dataclass(frozen=True, slots=True)
class Published:
    """Who published addresses of a treasury, when, where, and how many."""

    by: str | None
    published: str | None
    source: str | None
    scripts: int


def movements(
    connection: sqlite3.Connection, treasury: str, before: tuple[int, int, int], limit: int
) -> list[Movement]:
    """The confirmed transactions placed before (height, place in the block, row id), newest first."""
    with one_moment(connection):
        base = base_of(connection, treasury)
        rows = connection.execute(
            "SELECT t.id, t.txid, t.block_height AS height, t.block_index AS nth, t.block_time, t.trust,"
            " e.flow, e.amount, e.incident, e.baselined"
            # CROSS JOIN keeps SQLite to this order: along the chain, so that a page costs a page
            " FROM transactions t CROSS JOIN entries e ON e.treasury = :treasury AND e.tx = t.id"
            " WHERE t.block_height <= :height AND e.state = 'confirmed'"
            " AND (t.block_height, t.block_index, t.id) < (:height, :nth, :key)"
            " ORDER BY t.block_height DESC, t.block_index DESC, t.id DESC LIMIT :limit",
            _place(before) | {"treasury": treasury, "limit": min(limit, PAGE_LIMIT)},
        ).fetchall()
        # back from the present, but for what lies behind the place in its own block
        later = (
            above(connection, treasury, before[0])
            + connection.execute(
                "SELECT coalesce(sum(e.amount), 0)"
                " FROM transactions t CROSS JOIN entries e ON e.treasury = :treasury AND e.tx = t.id"
                " WHERE t.block_height = :height AND e.state = 'confirmed'"
                " AND (t.block_index, t.id) >= (:nth, :key)",
                _place(before) | {"treasury": treasury},
            ).fetchone()[0]
        )
    found = []
    balance = 0 if base is None else base.confirmed - later
    for row in rows:
        found.append(_movement(row, balance if base is not None and base.knows(row["height"]) else None))
        balance -= row["amount"]
    return found


def unconfirmed(connection: sqlite3.Connection, treasury: str, limit: int) -> list[Movement]:
    """What is in no block yet, newest first."""
    rows = connection.execute(
        "SELECT t.id, t.txid, -1 AS height, 0 AS nth, NULL AS block_time, t.trust,"
        " e.flow, e.amount, e.incident, e.baselined"
        " FROM entries e JOIN transactions t ON t.id = e.tx"
        " WHERE e.treasury = ? AND e.state = 'held' ORDER BY t.id DESC LIMIT ?",
        (treasury, min(limit, PAGE_LIMIT)),
    )
    return [_movement(row, None) for row in rows]


def addresses(
    connection: sqlite3.Connection, treasury: str, *, after: int, limit: int, until: int
) -> list[Watched]:
    """The scripts on the list, in the order of their entry, with what each held after the block `until`.

    What one held is added up from its movements while those of the page are not too many for a read.
    """
    rows = connection.execute(
        "SELECT w.id, w.script, w.address, w.label, w.published, w.published_by, w.source, w.read, w.licence,"
        " w.anchor_height, s.read_ms FROM watches w JOIN scripts s ON s.id = w.script"
        " WHERE w.treasury = ? AND w.removed_ms IS NULL AND w.id > ? ORDER BY w.id LIMIT ?",
        (treasury, after, min(limit, PAGE_LIMIT)),
    ).fetchall()
    busy = _busy(connection, [r["script"] for r in rows if r["read_ms"] is not None])
    unknown = busy.union(r["script"] for r in rows if r["read_ms"] is None)
    return [
        Watched(
            id=r["id"],
            address=r["address"],
            label=r["label"],
            published=r["published"],
            published_by=r["published_by"],
            source=r["source"],
            read=r["read"],
            licence=r["licence"],
            since=r["anchor_height"],
            sats=None if r["script"] in unknown else _held(connection, treasury, r["script"], until),
            busy=r["script"] in busy,
        )
        for r in rows
    ]


def _busy(connection: sqlite3.Connection, scripts: Collection[int]) -> set[int]:
    """Those whose movements are too many for one read, beside those of the quieter ones."""
    moved = {
        script: connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM touches WHERE script = ? LIMIT ?)", (script, _ADDED_UP + 1)
        ).fetchone()[0]
        for script in scripts
    }
    quietest_first = sorted(moved, key=moved.__getitem__)
    up_to_each = accumulate(moved[script] for script in quietest_first)
    return {script for script, sum_ in zip(quietest_first, up_to_each, strict=True) if sum_ > _ADDED_UP}


def _held(connection: sqlite3.Connection, treasury: str, script: int, until: int) -> Sats:
    row = connection.execute(
        "SELECT coalesce(sum(o.received - o.spent), 0) FROM touches o"
        " JOIN entries e ON e.tx = o.tx AND e.treasury = ? AND e.state = 'confirmed'"
        " JOIN transactions t ON t.id = o.tx WHERE o.script = ? AND t.block_height <= ?",
        (treasury, script, until),
    ).fetchone()
    return int(row[0])


def published(connection: sqlite3.Connection, treasury: str) -> list[Published]:
    """By whom the addresses on the list were published, the largest part first; at most ten."""
    rows = connection.execute(
        "SELECT published_by, published, source, count(*) AS scripts FROM watches"
        " WHERE treasury = ? AND removed_ms IS NULL"
        " GROUP BY published_by, published, source ORDER BY scripts DESC, published DESC LIMIT 10",
        (treasury,),
    )
    return [Published(r["published_by"], r["published"], r["source"], r["scripts"]) for r in rows]


def news(connection: sqlite3.Connection, treasury: str | None, limit: int) -> list[EventRow]:
    """The latest event of each incident, newest first, and each event that belongs to none."""
    whose = "" if treasury is None else " WHERE treasury = :treasury"
    rows = connection.execute(
        f"SELECT sequence, type, at_ms, body, incident FROM events{whose}"  # noqa: S608 - one of two constants
        " ORDER BY sequence DESC LIMIT :looked",
        {"treasury": treasury, "looked": _LOOK_BACK},
    )
    found: dict[str, EventRow] = {}
    for row in rows:
        if row["type"] in _OF_THE_WATCHER:
            continue
        key = row["incident"] or f"sequence {row['sequence']}"
        if key not in found:
            found[key] = _event(row)
            if len(found) == limit:
                break
    return list(found.values())


def list_changes(
    connection: sqlite3.Connection, treasury: str, limit: int, *, before: int | None = None
) -> list[EventRow]:
    """Each version of the watch list: the events that began or changed it, newest first.

    Only those before the place `before` of the log, if there is one.
    """
    rows = connection.execute(
        "SELECT sequence, type, at_ms, body FROM events"
        " WHERE treasury = :treasury AND type IN ('watch.baselined', 'watch.added', 'watch.removed')"
        " AND sequence < coalesce(:before, sequence + 1)"
        # the plus keeps SQLite from walking the treasury's whole log for the order
        " ORDER BY +sequence DESC LIMIT :limit",
        {"treasury": treasury, "before": before, "limit": min(limit, PAGE_LIMIT)},
    )
    return [_event(row) for row in rows]


def incident(connection: sqlite3.Connection, name: str, limit: int) -> list[EventRow]:
    """The events of an incident, oldest first."""
    rows = connection.execute(
        "SELECT sequence, type, at_ms, body FROM events WHERE incident = ? ORDER BY sequence LIMIT ?",
        (name, min(limit, PAGE_LIMIT)),
    )
    return [_event(row) for row in rows]


def event(connection: sqlite3.Connection, name: str) -> EventRow | None:
    """The event of that id; None where there is none."""
    row = connection.execute(
        "SELECT sequence, type, at_ms, body FROM events WHERE id = ?", (name,)
    ).fetchone()
    return None if row is None else _event(row)


def created_ms(connection: sqlite3.Connection) -> int:
    """When the ledger was made."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'created_ms'").fetchone()
    return 0 if row is None else int(row["value"])


def _event(row: Mapping[str, Any]) -> EventRow:
    return EventRow(row["sequence"], row["type"], row["at_ms"], row["body"])


def _movement(row: Mapping[str, Any], balance: Sats | None) -> Movement:
    return Movement(
        place=(row["height"], row["nth"], row["id"]),
        block_time=row["block_time"],
        txid=row["txid"],
        flow=row["flow"],
        amount=row["amount"],
        balance=balance,
        trust=row["trust"],
        incident=row["incident"],
        baselined=bool(row["baselined"]),
    )


def _place(before: Sequence[int]) -> dict[str, object]:
    height, nth, key = before
    return {"height": height, "nth": nth, "key": key}
