"""A treasury's history as people read it: every change with the running balance, in the chain's order.

The present reading, not the log: what was taken back is not in it. Confirmed rows come by height and
place in the block, then what is unconfirmed. A baseline stands behind the last block it covers; the
transactions it took in are rows of their own and its own row holds the remainder, so that the rows'
amounts always add up to the confirmed balance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from watcher.core.instants import rfc3339_seconds
from watcher.ledger.prices import prices_of
from watcher.ledger.queries import PAGE_LIMIT, one_moment
from watcher.ledger.sums import explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from watcher.bitcoin.types import Sats
    from watcher.core.fiat import Rate


class Place(NamedTuple):
    """Where a row stands: block, place in it (a watch stands behind all transactions), and who is first."""

    height: int
    nth: int
    key: int


_LOOSE_HEIGHT: Final = 2**62  # behind every block
_BEHIND_BLOCK: Final = 2**62
_BEGIN: Final = Place(-1, 0, 0)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One change. `height` is None for what is unconfirmed, `balance_sats` before the first baseline.

    `block_time` is the miner's, RFC 3339; `kind` is baseline, transaction or watch.
    """

    height: int | None
    block_hash: str | None
    block_time: str | None
    txid: str | None
    kind: str
    flow: str | None
    amount_sats: Sats
    balance_sats: Sats | None
    trust: str | None
    note: str
    price: Rate | None = None  # of the day of its block, where it is known; a fixed one has no instant


@dataclass(frozen=True, slots=True)
class HistoryCursor:
    """Where a page ended, the confirmed balance there, and what the first baseline still has to tell.

    `remainder` is None before the first page and then carried: it is that of the moment it was asked at.
    """

    place: Place = _BEGIN
    balance: Sats = 0
    remainder: Sats | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some rows and where the next ones go on; `after` is None behind the last.

    `adds_up` is false where the balance behind the last row is not the confirmed one: a reorganisation
    came between the pages, and the whole is to be read again.
    """

    rows: tuple[HistoryRow, ...]
    after: HistoryCursor | None
    adds_up: bool


def history(connection: sqlite3.Connection, treasury: str, cursor: HistoryCursor, limit: int) -> HistoryPage:
    """The rows of `treasury` that follow `cursor`, at most `limit`; none where there is no such treasury."""
    limit = min(limit, PAGE_LIMIT)
    with one_moment(connection):
        known = connection.execute(
            "SELECT confirmed, baselined_ms FROM treasuries WHERE name = ?", (treasury,)
        ).fetchone()
        if known is None:
            return HistoryPage((), None, adds_up=True)
        remainder = cursor.remainder
        if remainder is None:
            remainder = known["confirmed"] - explained(connection, treasury)
        placed = _following(connection, treasury, cursor.place, remainder, limit + 1)
        days = {row.block_time[:10] for _, row in placed if row.block_time is not None}
        prices = prices_of(connection, days)
    unknown = known["baselined_ms"] is None
    rows: list[HistoryRow] = []
    balance = cursor.balance
    for _, row in placed[:limit]:
        if row.height is not None:
            balance += row.amount_sats
        price = prices.get((row.block_time or "")[:10])
        rows.append(replace(row, balance_sats=None if unknown else balance, price=price))
    more = len(placed) > limit
    after = HistoryCursor(placed[limit - 1][0], balance, remainder) if more else None
    return HistoryPage(tuple(rows), after, adds_up=more or unknown or balance == known["confirmed"])


def _following(
    connection: sqlite3.Connection, treasury: str, after: Place, remainder: Sats, limit: int
) -> list[tuple[Place, HistoryRow]]:
    placed = [
        *_with_remainder(_watches(connection, treasury), remainder),
        *_confirmed_rows(connection, treasury, after, limit),
    ]
    placed = sorted((p for p in placed if p[0] > after), key=lambda p: p[0])[:limit]
    if len(placed) < limit:
        placed += _loose_rows(connection, treasury, after, limit - len(placed))
    return placed


def _confirmed_rows(
    connection: sqlite3.Connection, treasury: str, after: Place, limit: int
) -> list[tuple[Place, HistoryRow]]:
    rows = connection.execute(
        _ENTRY_COLUMNS
        # CROSS JOIN keeps SQLite to this order: along the chain, so that a page costs a page
        + " FROM transactions t CROSS JOIN entries e ON e.treasury = :treasury AND e.tx = t.id"
        " WHERE t.block_height >= :height AND e.state = 'confirmed'"
        " AND (t.block_height, t.block_index, t.id) > (:height, :nth, :key)"
        " ORDER BY t.block_height, t.block_index, t.id LIMIT :limit",
        {"treasury": treasury, "limit": limit, **after._asdict()},
    )
    return [(Place(row["height"], row["block_index"], row["id"]), _entry(row)) for row in rows]


def _loose_rows(
    connection: sqlite3.Connection, treasury: str, after: Place, limit: int
) -> list[tuple[Place, HistoryRow]]:
    """What is unconfirmed and still in the balance's `pending`, in the order it became known."""
    rows = connection.execute(
        _ENTRY_COLUMNS + " FROM entries e JOIN transactions t ON t.id = e.tx"
        " WHERE e.treasury = ? AND (e.state = 'held' OR (e.state <> 'confirmed' AND e.pending <> 0))"
        " AND t.id > ? ORDER BY t.id LIMIT ?",
        (treasury, after.key if after.height == _LOOSE_HEIGHT else 0, limit),
    )
    return [(Place(_LOOSE_HEIGHT, 0, row["id"]), replace(_entry(row), **_UNPLACED)) for row in rows]


_ENTRY_COLUMNS: Final = (
    "SELECT t.id, t.txid, t.block_height AS height, t.block_hash, t.block_index, t.block_time, t.trust,"
    " e.flow, e.amount, e.baselined"
)
_UNPLACED: Final[dict[str, Any]] = {"height": None, "block_hash": None, "block_time": None}


def _entry(row: Mapping[str, Any]) -> HistoryRow:
    return HistoryRow(
        height=row["height"],
        block_hash=row["block_hash"],
        block_time=None if row["block_time"] is None else rfc3339_seconds(row["block_time"]),
        txid=row["txid"],
        kind="transaction",
        flow=row["flow"],
        amount_sats=row["amount"],
        balance_sats=None,
        trust=row["trust"],
        note="part of the baseline" if row["baselined"] else "",
    )


def _watches(connection: sqlite3.Connection, treasury: str) -> list[tuple[Place, HistoryRow]]:
    """Baselines and removals, worth nothing yet; few, since each is an act of the operator.

    A removal has no block of its own: it stands behind the last block that the log had named by then.
    """
    rows = connection.execute(
        "SELECT w.sequence, w.type, json_extract(w.body, '$.anchor.hash') AS hash, coalesce("
        " json_extract(w.body, '$.anchor.height'), (SELECT coalesce(json_extract(e.body, '$.block.height'),"
        "  json_extract(e.body, '$.anchor.height')) AS height FROM events e"
        "  WHERE e.sequence < w.sequence AND height IS NOT NULL ORDER BY e.sequence DESC LIMIT 1), 0)"
        " AS height"
        " FROM events w WHERE w.treasury = ? AND w.type IN ('watch.baselined', 'watch.removed')"
        " ORDER BY w.sequence LIMIT ?",
        (treasury, PAGE_LIMIT),
    ).fetchall()
    return [(Place(r["height"], _BEHIND_BLOCK, r["sequence"]), _watch(connection, r)) for r in rows]


def _watch(connection: sqlite3.Connection, row: Mapping[str, Any]) -> HistoryRow:
    header = connection.execute("SELECT raw FROM headers WHERE height = ?", (row["height"],)).fetchone()
    time = None if header is None else int.from_bytes(bytes(header["raw"])[68:72], "little")
    baseline = row["type"] == "watch.baselined"
    return HistoryRow(
        height=row["height"],
        block_hash=row["hash"],
        block_time=None if time is None else rfc3339_seconds(time),
        txid=None,
        kind="baseline" if baseline else "watch",
        flow=None,
        amount_sats=0,
        balance_sats=None,
        trust=None,
        note=_BASELINED if baseline else _REMOVED,
    )


_BASELINED: Final = "what no transaction explains of what was there at the first complete reading"
_REMOVED: Final = "scripts left the watch list: all rows are read with the list as it is now"


def _with_remainder(
    watches: Sequence[tuple[Place, HistoryRow]], remainder: Sats
) -> list[tuple[Place, HistoryRow]]:
    """The first baseline tells the remainder, so that it is told once."""
    first = next((place for place, row in watches if row.kind == "baseline"), None)
    return [(p, replace(row, amount_sats=remainder) if p == first else row) for p, row in watches]
