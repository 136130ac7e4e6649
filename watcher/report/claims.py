"""Claims as a report has them: those of its time, judged by what the chain says, the same at any time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from watcher.core.claims import Holds, Mismatched, Totals, judge, sentence
from watcher.ledger.earlier import day_totals, end_of_day

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from watcher.core.claims import Claim, Verdict
    from watcher.ledger.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim, what was seen beside it in words, and whether it holds; open: that decides nothing."""

    claim: Claim
    sentence: str
    verdict: Literal["holds", "mismatched", "open"]


def judged(
    connection: sqlite3.Connection, evidence: Evidence, claims: Iterable[Claim], lang: str
) -> Iterator[Judged]:
    """One of a day by that day's totals, a standing one by the report's balance; later ones are left out."""
    day = evidence.day
    if day is None and evidence.time is not None:
        day = datetime.fromtimestamp(evidence.time, UTC).date()
    has_addresses = bool(evidence.addresses)
    for claim in sorted(claims, key=lambda claim: (claim.as_of, claim.id)):
        if day is not None and claim.as_of > day:
            continue
        totals = _totals(connection, evidence, claim)
        verdict = judge(claim, totals, has_addresses=has_addresses)
        said = sentence(claim, totals, has_addresses=has_addresses, lang=lang)
        yield Judged(claim, said, _word(verdict))


def _totals(connection: sqlite3.Connection, evidence: Evidence, claim: Claim) -> Totals | None:
    if claim.standing:
        return Totals(evidence.balance, evidence.balance)
    end = end_of_day(connection, claim.as_of)
    # a day that goes on behind the report's block is not over for it
    if end is None or end > evidence.height:
        return None
    return day_totals(connection, evidence.name, claim.as_of)


def _word(verdict: Verdict) -> Literal["holds", "mismatched", "open"]:
    match verdict:
        case Holds():
            return "holds"
        case Mismatched():
            return "mismatched"
        case _:
            return "open"
