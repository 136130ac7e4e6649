"""The course of a treasury in parts, each a short read: of a long one blocks close together are one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.ledger.earlier import Step
from watcher.ledger.sums import begins

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

A_PART: Final = 50_000  # transactions
_STEPS: Final = 20_000  # about, at most


@dataclass(frozen=True, slots=True)
class Extent:
    """The largest row id of a treasury's transactions, and how many blocks are one step."""

    last: int
    width: int

    def parts(self) -> Iterator[tuple[int, int]]:
        """Row ids above the first up to the second."""
        for after in range(0, self.last, A_PART):
            yield after, after + A_PART


def extent(connection: sqlite3.Connection, treasury: str, until: int) -> Extent:
    """How much there may be up to the block `until`; the ids are those of all treasuries, so it may be less.

    The width is of the treasury's own blocks up to that one: what comes later does not change it.
    """
    row = connection.execute(
        "SELECT tx FROM entries WHERE treasury = ? ORDER BY tx DESC LIMIT 1", (treasury,)
    ).fetchone()
    first = begins(connection, treasury)
    blocks = 0 if first is None else max(until - first, 0)
    return Extent(0 if row is None else row["tx"], 1 + blocks // _STEPS)


def part(
    connection: sqlite3.Connection, treasury: str, width: int, ids: tuple[int, int], until: int
) -> list[Step]:
    """What these transactions changed up to the block `until`, in steps of `width` blocks."""
    rows = connection.execute(
        "SELECT max(t.block_height) AS height, max(t.block_time) AS time, sum(e.amount) AS amount,"
        " sum(max(e.amount, 0)) AS received, sum(max(-e.amount, 0)) AS paid"
        " FROM entries e JOIN transactions t ON t.id = e.tx"
        " WHERE e.treasury = :treasury AND e.tx > :after AND e.tx <= :last AND e.state = 'confirmed'"
        " AND t.block_height <= :until GROUP BY t.block_height / :width",
        {"treasury": treasury, "after": ids[0], "last": ids[1], "until": until, "width": width},
    )
    return [Step(r["height"], r["time"] or 0, r["amount"], (r["received"], r["paid"])) for r in rows]


def joined(steps: Iterable[Step], width: int) -> list[Step]:
    """The steps of all parts, along the chain."""
    found: dict[int, Step] = {}
    for step in steps:
        place = step.height // width
        found[place] = _together(found[place], step) if place in found else step
    return [found[key] for key in sorted(found)]


def _together(one: Step, other: Step) -> Step:
    return Step(
        max(one.height, other.height),
        max(one.time, other.time),
        one.amount + other.amount,
        (one.flows[0] + other.flows[0], one.flows[1] + other.flows[1]),
    )
