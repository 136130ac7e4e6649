"""Confirmed totals: what a treasury holds, and the lowest and highest it held on a day.

A day is a UTC day by block time and order is the chain's, so a day's totals are those behind each block
whose time is in it, and the one it began with. The record of a treasury begins with its first
transaction, or where it has none with the block at which it was first read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.core.claims import Holds, Totals, judge
from watcher.ledger.earlier import last_before, steps
from watcher.ledger.sums import SPAN, above, begins, explained

if TYPE_CHECKING:
    import sqlite3

    from watcher.bitcoin.types import Sats
    from watcher.core.claims import Claim

_SLOW_CLOCKS: Final = 144  # blocks behind a window of which one may still state a time in it
_NO_END: Final = 2**62


@dataclass(frozen=True, slots=True)
class Window:
    """Block times from `start` on and before `end`, in seconds."""

    start: int
    end: int


def confirmed_totals(connection: sqlite3.Connection) -> dict[str, Sats]:
    """What each treasury of the config holds; without those not yet read in full.

    One whose whole list is new (exchanged, or here again) was read in full once, and nothing of it is now.
    """
    rows = connection.execute(
        """SELECT name, confirmed FROM treasuries t WHERE listed = 1 AND baselined_ms IS NOT NULL AND (
             EXISTS (SELECT 1 FROM watches w
                     WHERE w.treasury = t.name AND w.removed_ms IS NULL AND w.baselined = 1)
             OR NOT EXISTS (SELECT 1 FROM watches w WHERE w.treasury = t.name AND w.removed_ms IS NULL))"""
    )
    return {row["name"]: row["confirmed"] for row in rows}


def totals_of(connection: sqlite3.Connection, treasury: str, window: Window) -> Totals | None:
    """The lowest and the highest total of the window; None where the ledger does not know it all.

    Costs what is in the blocks around the window.
    """
    holds = confirmed_totals(connection).get(treasury)
    if holds is None or holds != explained(connection, treasury):
        return None
    begun = _begun(connection, treasury)
    if begun is None or begun >= window.end:
        return None
    before = last_before(connection, window.start)
    if before is None:
        return Totals(holds, holds)
    behind = last_before(connection, window.end)
    until = _NO_END if behind is None else behind + _SLOW_CLOCKS
    total = holds - above(connection, treasury, before)
    found: list[Sats] = []
    for step in steps(connection, treasury, before, until):
        if step.time >= window.start and not found:
            found.append(total)  # what the day began with
        total += step.amount
        if window.start <= step.time < window.end:
            found.append(total)
    return Totals(min(found), max(found)) if found else Totals(total, total)


def _begun(connection: sqlite3.Connection, treasury: str) -> int | None:
    """When the record of the treasury begins, in seconds."""
    first = begins(connection, treasury)
    if first is None:
        return _first_read(connection, treasury)
    return steps(connection, treasury, first - 1, first + SPAN - 1)[0].time


def _first_read(connection: sqlite3.Connection, treasury: str) -> int | None:
    """The time of the block at which the treasury was first read, in seconds."""
    row = connection.execute(
        """SELECT h.raw FROM watches w JOIN headers h ON h.height = w.anchor_height
           WHERE w.treasury = ? ORDER BY w.anchor_height LIMIT 1""",
        (treasury,),
    ).fetchone()
    return None if row is None else int.from_bytes(bytes(row["raw"])[68:72], "little")


@dataclass(frozen=True, slots=True)
class Judged:
    """The totals that a claim was judged by; `whole` says that the day was over then."""

    as_of: str
    totals: Totals
    whole: bool


def judged_by(connection: sqlite3.Connection, treasury: str, claim: Claim) -> Totals | None:
    """The totals of its day by which the claim was judged; None: it was not, or said something else then."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_key(treasury, claim.id),)).fetchone()
    if row is None:
        return None
    as_of, lowest, highest, whole = json.loads(row["value"])
    totals = Totals(lowest, highest)
    stands = as_of == claim.as_of.isoformat() and (whole or bears_out(claim, totals))
    return totals if stands else None


def bears_out(claim: Claim, totals: Totals) -> bool:
    """Whether the claim was true of these totals."""
    return isinstance(judge(claim, totals, has_addresses=True), Holds)


def keep_judged(connection: sqlite3.Connection, treasury: str, claim: str, by: Judged) -> None:
    """A claim is judged once: keep by what."""
    value = json.dumps([by.as_of, by.totals.lowest, by.totals.highest, by.whole])
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_key(treasury, claim), value)
    )


def _key(treasury: str, claim: str) -> str:
    return f"claim:{treasury}/{claim}"
