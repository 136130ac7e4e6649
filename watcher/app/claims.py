"""Holds what was claimed against what the ledger knows.

A claim of a day is judged once, when no further block can be of that day, or before, as soon as it was
true at some moment of it, and the page shows by what. A standing claim is told by the present instead, for
as long as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from statistics import median_low
from typing import TYPE_CHECKING, Final

from watcher.core.claims import ClaimState, Mismatched, NotJudged, Totals, judge
from watcher.ledger.chain import headers
from watcher.ledger.conditions import Condition, forget_others, set_condition
from watcher.ledger.queries import tip
from watcher.ledger.totals import (
    Judged,
    Window,
    bears_out,
    confirmed_totals,
    judged_by,
    keep_judged,
    totals_of,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from watcher.bitcoin.types import Sats
    from watcher.config.settings import Config, Treasury
    from watcher.core.claims import Claim
    from watcher.ledger.commit import Committed, Settings

KIND: Final = "claim"
_PAST_BLOCKS: Final = 11  # a block's time is above the median of so many before it
_LATE: Final = timedelta(hours=3)  # miners' clocks are that far behind at most, whatever the rules allow


@dataclass(frozen=True, slots=True)
class _Present:
    confirmed: dict[str, Sats]
    tip_time: int | None
    past_median: int
    now: datetime


def judge_claims(connection: sqlite3.Connection, config: Config, at_ms: int) -> Iterator[ClaimState]:
    """Every claim of the config and how it stands; what a day's claim was judged by is kept."""
    present = _present(connection, at_ms)
    for treasury in config.treasuries:
        has_addresses = bool(treasury.scripts or treasury.wallets)
        for claim in treasury.claims:
            totals = _totals(connection, treasury, claim, present) if has_addresses else None
            verdict = judge(claim, totals, has_addresses=has_addresses)
            yield ClaimState(treasury.name, claim, totals, verdict)


def tell_claims(
    connection: sqlite3.Connection, settings: Settings, states: list[ClaimState], at_ms: int
) -> Iterator[Committed]:
    """Tell each that is contradicted, and each that was and no longer is."""
    decided = [state for state in states if not isinstance(state.verdict, NotJudged)]
    # of a treasury that is read anew what was told stands until it is read
    read = confirmed_totals(connection)
    unread = [state for state in states if state.treasury not in read]
    forget_others(connection, KIND, {_subject(state) for state in [*decided, *unread]}, at_ms)
    for state in decided:
        condition = Condition(
            KIND, _subject(state), "claim.mismatched", "claim.matched", treasury=state.treasury
        )
        data: dict[str, object] = {
            "claim": state.claim.id,
            "claimed_sats": state.claim.sats,
            "observed_sats": state.observed,
            "says": str(state.claim.says),
            "as_of": state.claim.as_of.isoformat(),
        }
        mismatched = isinstance(state.verdict, Mismatched)
        yield set_condition(connection, settings, condition, data, at_ms, holds=mismatched)


def _subject(state: ClaimState) -> str:
    return f"{state.treasury}/{state.claim.id}"


def _present(connection: sqlite3.Connection, at_ms: int) -> _Present:
    last = tip(connection)
    raws = [] if last is None else headers(connection, last.height - _PAST_BLOCKS + 1, _PAST_BLOCKS)
    times = sorted(int.from_bytes(bytes(raw)[68:72], "little") for _, raw in raws)
    return _Present(
        confirmed_totals(connection),
        None if last is None else last.time,
        median_low(times) if len(times) == _PAST_BLOCKS else 0,
        datetime.fromtimestamp(at_ms / 1000, UTC),
    )


def _totals(
    connection: sqlite3.Connection, treasury: Treasury, claim: Claim, present: _Present
) -> Totals | None:
    """What the claim is judged by; None while there is nothing."""
    confirmed = present.confirmed.get(treasury.name)
    if confirmed is None:
        return None
    now = Totals(confirmed, confirmed)
    then = _totals_of_its_day(connection, treasury, claim, present, now)
    return now if claim.standing else then


def _totals_of_its_day(
    connection: sqlite3.Connection, treasury: Treasury, claim: Claim, present: _Present, now: Totals
) -> Totals | None:
    kept = judged_by(connection, treasury.name, claim)
    if kept is not None:
        return kept
    as_of = claim.as_of.isoformat()
    begin = datetime.combine(claim.as_of, time(), UTC)
    end = begin + timedelta(days=1)
    window = Window(int(begin.timestamp()), int(end.timestamp()))
    found: Judged | None = None
    tip_time = 0 if present.tip_time is None else present.tip_time
    no_more = present.past_median >= window.end or present.now >= end + _LATE
    if tip_time >= window.end and no_more:
        totals = totals_of(connection, treasury.name, window)
        found = None if totals is None else Judged(as_of, totals, whole=True)
    elif window.start <= tip_time < window.end:
        # a total of that day; more of them can only make the claim truer
        found = Judged(as_of, now, whole=False) if bears_out(claim, now) else None
    if found is None:
        return None
    keep_judged(connection, treasury.name, claim.id, found)
    return found.totals
