"""What the page shows of a treasury, worked out on a connection that cannot write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.core import claims as judged
from watcher.core.claims import Holds, Mismatched, Totals
from watcher.ledger import earlier, pages
from watcher.ledger.totals import judged_by
from watcher.web.page.terms import TreasuryTerms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from watcher.bitcoin.types import Sats
    from watcher.core.claims import Claim, Verdict
    from watcher.ledger.earlier import Book
    from watcher.ledger.pages import Published
    from watcher.ledger.queries import TipRow, TreasuryRow
    from watcher.web.moments import Moment
    from watcher.web.page.terms import PageTerms
    from watcher.web.snapshot import SourceFigure

ROWS: Final = 50  # of a table on one page
_UNTOLD: Final = TreasuryTerms()


@dataclass(frozen=True, slots=True)
class ClaimShown:
    """A claim beside what is seen; `verdict` is holds, mismatched or open, `now` for a standing one."""

    claim: Claim
    sentence: str
    verdict: str
    now: str | None
    now_verdict: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """A treasury in large figures; `confirmed` is None where it is not known, `pending` at a past moment.

    `fresh` is None where there is nothing to be fresh; `at` is the past moment meant, None: the present;
    `first` is what each source says, unproven, while all is read for the first time.
    """

    row: TreasuryRow
    at: Moment | None
    confirmed: Sats | None
    pending: Sats | None
    book: Book | None
    fresh: bool | None
    reasons: Sequence[str]
    published: Sequence[Published]
    terms: TreasuryTerms
    claims: Sequence[ClaimShown]
    first: Sequence[SourceFigure]

    @property
    def unverifiable(self) -> bool:
        """Whether there is no address to look at, and never was one."""
        return not self.row.scripts and self.row.baselined_ms is None

    @property
    def reading(self) -> bool:
        """Whether the first complete reading is under way."""
        return bool(self.row.scripts) and self.row.baselined_ms is None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a card is to show: in whose words, what of the daemon's present, and at which moment."""

    terms: PageTerms
    stale: Mapping[str, Sequence[str]]
    tip: TipRow | None
    first: Mapping[str, Sequence[SourceFigure]]
    at: Moment | None = None


def card(connection: sqlite3.Connection, row: TreasuryRow, asked: Asked) -> Card:
    """The figures of one treasury."""
    terms = asked.terms.treasuries.get(row.name, _UNTOLD)
    reasons = tuple(asked.stale.get(row.name, ()))
    if asked.at is None:
        confirmed, pending = row.confirmed, row.pending
        found = None if asked.tip is None else earlier.book(connection, row.name, asked.tip.time)
    else:
        confirmed, pending, found = earlier.balance_at(connection, row.name, asked.at.height), None, None
    present = None if row.confirmed is None else Totals(row.confirmed, row.confirmed)
    return Card(
        row=row,
        at=asked.at,
        confirmed=confirmed,
        pending=pending,
        book=found,
        fresh=None if not row.scripts or asked.at is not None else row.confirmed is not None and not reasons,
        reasons=reasons,
        published=pages.published(connection, row.name),
        terms=terms,
        claims=[
            _claim(connection, row, each, present, asked.terms.lang)
            for each in terms.claims
            if asked.at is None
        ],
        first=asked.first.get(row.name, ()),
    )


def _claim(
    connection: sqlite3.Connection, row: TreasuryRow, claim: Claim, present: Totals | None, lang: str
) -> ClaimShown:
    has = bool(row.scripts)
    then = judged_by(connection, row.name, claim) if has else None
    now = claim.standing and has
    return ClaimShown(
        claim,
        judged.sentence(claim, then, has_addresses=has, lang=lang),
        _word(judged.judge(claim, then, has_addresses=has)),
        judged.sentence(claim, present, has_addresses=has, lang=lang) if now else None,
        _word(judged.judge(claim, present, has_addresses=has)) if now else None,
    )


def _word(verdict: Verdict) -> str:
    match verdict:
        case Holds():
            return "holds"
        case Mismatched():
            return "mismatched"
        case _:
            return "open"
