"""What the page asks the ledger beyond the API: a balance at a block or day, its changes, its incidents.

All of the present reading, as in `history.py`: what was taken back is not in it, and the past is read with
the watch list as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from watcher.core.claims import Totals
from watcher.ledger.queries import PAGE_LIMIT, EventRow, one_moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from watcher.bitcoin.types import Sats

SPANS: Final[Mapping[str, int]] = {"day": 86_400, "month": 30 * 86_400, "year": 365 * 86_400}  # seconds
_MAX_STEPS: Final = 100_000
_LOOK_BACK: Final = 2_000  # events looked through for the newest incidents
_OF_THE_WATCHER: Final = frozenset({"watcher.canary", "watcher.test"})  # no news: they come by the clock
_TIMES_APART: Final = 24  # blocks within which the miners' times may be out of order


@dataclass(frozen=True, slots=True)
class Book:
    """A treasury's confirmed transactions summed up.

    `remainder` is what was there at the first complete reading (block `anchor`) and no transaction explains;
    `changes` are by the words of `SPANS`, counted back from the tip's time, None where it is not known.
    """

    transactions: int
    proven: int
    remainder: Sats
    anchor: int
    changes: Mapping[str, Sats | None]


@dataclass(frozen=True, slots=True)
class Step:
    """What a block changed; `time` is the miner's, in seconds; `flows`: (received, paid), both positive."""

    height: int
    time: int
    amount: Sats
    flows: tuple[Sats, Sats]


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
    """A script on the watch list with its provenance, and what it held; None while it is not read."""

    id: int
    address: str | None
    label: str | None
    published: str | None
    published_by: str | None
    source: str | None
    since: int | None
    sats: Sats | None


@dataclass(frozen=True, slots=True)
class Published:
    """Who published addresses of a treasury, when, where, and how many."""

    by: str | None
    published: str | None
    source: str | None
    scripts: int


def book(connection: sqlite3.Connection, treasury: str, tip_time: int) -> Book | None:
    """The sums of a treasury; None before its first complete reading."""
    with one_moment(connection):
        base = _base(connection, treasury)
        if base is None:
            return None
        remainder, anchor = base.remainder, base.anchor
        row = connection.execute(
            "SELECT count(*) AS n, count(*) FILTER (WHERE t.trust = 'proven') AS proven,"
            " coalesce(sum(e.amount) FILTER (WHERE t.block_time > :day), 0) AS day,"
            " coalesce(sum(e.amount) FILTER (WHERE t.block_time > :month), 0) AS month,"
            " coalesce(sum(e.amount) FILTER (WHERE t.block_time > :year), 0) AS year"
            " FROM entries e JOIN transactions t ON t.id = e.tx"
            " WHERE e.treasury = :treasury AND e.state = 'confirmed'",
            {"treasury": treasury} | {word: tip_time - seconds for word, seconds in SPANS.items()},
        ).fetchone()
        began = _header_time(connection, anchor) if remainder else None
    known = {word: not remainder or (began or tip_time) <= tip_time - s for word, s in SPANS.items()}
    changes = {word: row[word] if known[word] else None for word in SPANS}
    return Book(row["n"], row["proven"], remainder, anchor, changes)


def balance_at(connection: sqlite3.Connection, treasury: str, height: int) -> Sats | None:
    """The confirmed balance after the block of that height; None where it is not known."""
    with one_moment(connection):
        base = _base(connection, treasury)
        if base is None or not base.knows(height):
            return None
        row = connection.execute(
            "SELECT coalesce(sum(e.amount), 0) FROM entries e JOIN transactions t ON t.id = e.tx"
            " WHERE e.treasury = ? AND e.state = 'confirmed' AND t.block_height <= ?",
            (treasury, height),
        ).fetchone()
        return base.remainder + int(row[0])


def day_totals(connection: sqlite3.Connection, treasury: str, day: date) -> Totals | None:
    """The lowest and the highest confirmed total of a UTC day; None: it is not over, or not known."""
    with one_moment(connection):
        end = end_of_day(connection, day)
        begin = end_of_day(connection, day - timedelta(days=1))
        if end is None or begin is None:
            return None
        total = balance_at(connection, treasury, begin)
        if total is None:
            return None
        lowest = highest = total
        for step in steps(connection, treasury, since=begin, until=end):
            total += step.amount
            lowest, highest = min(lowest, total), max(highest, total)
    return Totals(lowest, highest)


def end_of_day(connection: sqlite3.Connection, day: date) -> int | None:
    """The last height before the first block whose time lies behind that UTC day; None: no block does yet.

    -1 for a day before the chain. Blocks that come later cannot change it, whatever their time.
    """
    end = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + 86_400
    bounds = connection.execute("SELECT min(height) AS low, max(height) AS high FROM headers").fetchone()
    low, high = bounds["low"], bounds["high"]
    if low is None:
        return None
    # times run nearly along the heights: halve to the neighbourhood, then look at each header there
    while high - low > 2 * _TIMES_APART:
        middle = (low + high) // 2
        found = connection.execute(
            "SELECT height, raw FROM headers WHERE height >= ? ORDER BY height LIMIT 1", (middle,)
        ).fetchone()
        low, high = (low, middle) if found is None or _time(found) >= end else (middle, high)
    for row in connection.execute(
        "SELECT height, raw FROM headers WHERE height >= ? ORDER BY height", (low - _TIMES_APART,)
    ):
        if _time(row) >= end:
            return int(row["height"]) - 1
    return None


def steps(
    connection: sqlite3.Connection, treasury: str, *, since: int = -1, until: int | None = None
) -> list[Step]:
    """What each block above `since` up to `until` changed, along the chain; at most 100,000 of them."""
    rows = connection.execute(
        "SELECT t.block_height AS height, max(t.block_time) AS time, sum(e.amount) AS amount,"
        " sum(max(e.amount, 0)) AS received, sum(max(-e.amount, 0)) AS paid"
        " FROM entries e JOIN transactions t ON t.id = e.tx"
        " WHERE e.treasury = ? AND e.state = 'confirmed' AND t.block_height > ?"
        " AND t.block_height <= coalesce(?, t.block_height)"
        " GROUP BY t.block_height ORDER BY t.block_height LIMIT ?",
        (treasury, since, until, _MAX_STEPS),
    )
    return [Step(r["height"], r["time"] or 0, r["amount"], (r["received"], r["paid"])) for r in rows]


def movements(
    connection: sqlite3.Connection, treasury: str, before: tuple[int, int, int], limit: int
) -> list[Movement]:
    """The confirmed transactions placed before (height, place in the block, row id), newest first."""
    with one_moment(connection):
        base = _base(connection, treasury)
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
        # back from the present, so that the first page sums up nothing
        later = connection.execute(
            "SELECT coalesce(sum(e.amount), 0)"
            " FROM transactions t CROSS JOIN entries e ON e.treasury = :treasury AND e.tx = t.id"
            " WHERE t.block_height >= :height AND e.state = 'confirmed'"
            " AND (t.block_height, t.block_index, t.id) >= (:height, :nth, :key)",
            _place(before) | {"treasury": treasury},
        ).fetchone()[0]
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
    """The scripts on the list, in the order of their entry, with what each held after the block `until`."""
    rows = connection.execute(
        "SELECT w.id, w.address, w.label, w.published, w.published_by, w.source, w.anchor_height,"
        " s.read_ms, (SELECT coalesce(sum(o.received - o.spent), 0) FROM touches o"
        "  JOIN entries e ON e.tx = o.tx AND e.treasury = w.treasury AND e.state = 'confirmed'"
        "  JOIN transactions t ON t.id = o.tx"
        "  WHERE o.script = w.script AND t.block_height <= ?) AS sats"
        " FROM watches w JOIN scripts s ON s.id = w.script"
        " WHERE w.treasury = ? AND w.removed_ms IS NULL AND w.id > ? ORDER BY w.id LIMIT ?",
        (until, treasury, after, min(limit, PAGE_LIMIT)),
    )
    return [
        Watched(
            r["id"],
            r["address"],
            r["label"],
            r["published"],
            r["published_by"],
            r["source"],
            r["anchor_height"],
            None if r["read_ms"] is None else r["sats"],
        )
        for r in rows
    ]


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


def block_at(connection: sqlite3.Connection, height: int) -> int | None:
    """The time of our chain's block at that height; None where its header is not kept."""
    return _header_time(connection, height)


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


@dataclass(frozen=True, slots=True)
class _Base:
    """The confirmed balance now, what of it no transaction explains, and the first baseline's block."""

    confirmed: Sats
    remainder: Sats
    anchor: int

    def knows(self, height: int) -> bool:
        """Whether the balance at the end of that block is known."""
        return not self.remainder or height >= self.anchor


def _base(connection: sqlite3.Connection, treasury: str) -> _Base | None:
    """What balances are reckoned from; None before the first complete reading."""
    row = connection.execute(
        "SELECT t.confirmed, t.baselined_ms, (SELECT coalesce(sum(e.amount), 0) FROM entries e"
        "  WHERE e.treasury = t.name AND e.state = 'confirmed') AS explained,"
        " (SELECT json_extract(v.body, '$.anchor.height') FROM events v WHERE v.treasury = t.name"
        "  AND v.type = 'watch.baselined' ORDER BY v.sequence LIMIT 1) AS anchor"
        " FROM treasuries t WHERE t.name = ?",
        (treasury,),
    ).fetchone()
    if row is None or row["baselined_ms"] is None:
        return None
    return _Base(row["confirmed"], row["confirmed"] - row["explained"], row["anchor"] or 0)


def _header_time(connection: sqlite3.Connection, height: int) -> int | None:
    row = connection.execute("SELECT raw FROM headers WHERE height = ?", (height,)).fetchone()
    return None if row is None else _time(row)


def _time(header: Mapping[str, Any]) -> int:
    return int.from_bytes(bytes(header["raw"])[68:72], "little")
