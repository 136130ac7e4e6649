"""A balance along the chain: its sums, what it was at the end of a block or day, and its steps.

All of the present reading, as in `history.py`: what was taken back is not in it, and the past is read with
the watch list as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from watcher.core.claims import Totals
from watcher.ledger.queries import one_moment
from watcher.ledger.sums import above, counted, explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from watcher.bitcoin.types import Sats

SPANS: Final[Mapping[str, int]] = {"day": 86_400, "month": 30 * 86_400, "year": 365 * 86_400}  # seconds
_TIMES_APART: Final = 24  # blocks within which the miners' times may be out of order


@dataclass(frozen=True, slots=True)
class Book:
    """A treasury's confirmed transactions summed up.

    `remainder` is what was there at the first complete reading (block `anchor`) and no transaction explains;
    `changes` are by the words of `SPANS`, counted back from the tip's time, None where it is not known: from
    the first block on whose time lies within.
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
class Base:
    """The confirmed balance now, what of it no transaction explains, and the first baseline's block."""

    confirmed: Sats
    remainder: Sats
    anchor: int

    def knows(self, height: int) -> bool:
        """Whether the balance at the end of that block is known."""
        return not self.remainder or height >= self.anchor


def base_of(connection: sqlite3.Connection, treasury: str) -> Base | None:
    """What balances are reckoned from; None before the first complete reading."""
    row = connection.execute(
        "SELECT t.confirmed, t.baselined_ms,"
        " (SELECT json_extract(v.body, '$.anchor.height') FROM events v WHERE v.treasury = t.name"
        "  AND v.type = 'watch.baselined' ORDER BY v.sequence LIMIT 1) AS anchor"
        " FROM treasuries t WHERE t.name = ?",
        (treasury,),
    ).fetchone()
    if row is None or row["baselined_ms"] is None:
        return None
    return Base(row["confirmed"], row["confirmed"] - explained(connection, treasury), row["anchor"] or 0)


def book(connection: sqlite3.Connection, treasury: str, tip_time: int) -> Book | None:
    """The sums of a treasury; None before its first complete reading."""
    with one_moment(connection):
        base = base_of(connection, treasury)
        if base is None:
            return None
        remainder, anchor = base.remainder, base.anchor
        transactions, proven = counted(connection, treasury)
        began = _header_time(connection, anchor) if remainder else None
        changes: dict[str, Sats | None] = {}
        for word, seconds in SPANS.items():
            known = not remainder or (began or tip_time) <= tip_time - seconds
            end = last_before(connection, tip_time - seconds + 1) if known else None
            changes[word] = None if end is None else above(connection, treasury, end)
    return Book(transactions, proven, remainder, anchor, changes)


def balance_at(connection: sqlite3.Connection, treasury: str, height: int) -> Sats | None:
    """The confirmed balance after the block of that height; None where it is not known."""
    with one_moment(connection):
        base = base_of(connection, treasury)
        if base is None or not base.knows(height):
            return None
        return base.confirmed - above(connection, treasury, height)


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
        for step in steps(connection, treasury, begin, end):
            total += step.amount
            lowest, highest = min(lowest, total), max(highest, total)
    return Totals(lowest, highest)


def end_of_day(connection: sqlite3.Connection, day: date) -> int | None:
    """The last height before the first block whose time lies behind that UTC day; None: no block does yet.

    -1 for a day before the chain. Blocks that come later cannot change it, whatever their time.
    """
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return last_before(connection, midnight + 86_400)


def last_before(connection: sqlite3.Connection, end: int) -> int | None:
    """The last height before the first block whose time is `end` or later; None: no block's is."""
    # each by the end of the key: both at once would walk through all of them
    bounds = connection.execute(
        "SELECT (SELECT min(height) FROM headers) AS low, (SELECT max(height) FROM headers) AS high"
    ).fetchone()
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


def steps(connection: sqlite3.Connection, treasury: str, since: int, until: int) -> list[Step]:
    """What each block above `since` up to `until` changed, along the chain; costs what is in these blocks."""
    rows = connection.execute(
        "SELECT t.block_height AS height, max(t.block_time) AS time, sum(e.amount) AS amount,"
        " sum(max(e.amount, 0)) AS received, sum(max(-e.amount, 0)) AS paid"
        # CROSS JOIN keeps SQLite to this order: along the chain
        " FROM transactions t CROSS JOIN entries e ON e.treasury = ? AND e.tx = t.id"
        " WHERE t.block_height > ? AND t.block_height <= ? AND e.state = 'confirmed'"
        " GROUP BY t.block_height ORDER BY t.block_height",
        (treasury, since, until),
    )
    return [Step(r["height"], r["time"] or 0, r["amount"], (r["received"], r["paid"])) for r in rows]


def block_at(connection: sqlite3.Connection, height: int) -> int | None:
    """The time of our chain's block at that height; None where its header is not kept."""
    return _header_time(connection, height)


def _header_time(connection: sqlite3.Connection, height: int) -> int | None:
    row = connection.execute("SELECT raw FROM headers WHERE height = ?", (height,)).fetchone()
    return None if row is None else _time(row)


def _time(header: Mapping[str, Any]) -> int:
    return int.from_bytes(bytes(header["raw"])[68:72], "little")
