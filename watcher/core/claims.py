"""Claims about what a treasury holds, held against what its published addresses held.

A claim of a day is right when it was right at some moment of it, so it is judged by that day's lowest and
highest total. One that counts coins beyond the published addresses can be confirmed here, never refuted.
"At least 0" is how a holding is written whose amount nobody stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from watcher.bitcoin.types import MAX_SATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from watcher.bitcoin.types import Sats

_SATS_PER_BTC: Final = 100_000_000


class Says(StrEnum):
    """How a claim's amount is meant."""

    EXACTLY = "exactly"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ABOUT = "about"


class Covers(StrEnum):
    """Which coins a claim counts."""

    PUBLISHED = "published"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody said is held; `tolerance_sats` is None but for `about`."""

    id: str
    says: Says
    sats: Sats
    tolerance_sats: Sats | None
    as_of: date
    standing: bool
    covers: Covers
    role: str
    by: str | None
    quote: str | None
    source: str | None
    archived: str | None
    read: date | None

    @property
    def bounds(self) -> tuple[Sats, Sats]:
        """The least and the most with which it is true."""
        match self.says:
            case Says.EXACTLY:
                return self.sats, self.sats
            case Says.AT_LEAST:
                return self.sats, MAX_SATS
            case Says.AT_MOST:
                return 0, self.sats
            case Says.ABOUT:
                tolerance = self.tolerance_sats or 0
                return self.sats - tolerance, self.sats + tolerance


@dataclass(frozen=True, slots=True)
class Totals:
    """The lowest and the highest confirmed total of a UTC day; both the same for the present."""

    lowest: Sats
    highest: Sats


class Unknown(StrEnum):
    """Why a claim cannot be judged."""

    NO_ADDRESS = "no_address"  # the treasury has none to look at
    NOT_READ = "not_read"  # the day is not over, or lies before what was read
    COVERS_MORE = "covers_more"  # it counts coins that are not at the published addresses


@dataclass(frozen=True, slots=True)
class Holds:
    """What was seen bears the claim out."""


@dataclass(frozen=True, slots=True)
class Mismatched:
    """What was seen contradicts the claim."""


@dataclass(frozen=True, slots=True)
class NotJudged:
    """What was seen decides nothing."""

    why: Unknown


Verdict: TypeAlias = Holds | Mismatched | NotJudged


@dataclass(frozen=True, slots=True)
class ClaimState:
    """A claim of a treasury beside what was seen; `totals` is None where that is not known."""

    treasury: str
    claim: Claim
    totals: Totals | None
    verdict: Verdict

    @property
    def observed(self) -> Sats | None:
        """Of the totals seen the nearest to what is claimed."""
        if self.totals is None:
            return None
        return min(max(self.claim.sats, self.totals.lowest), self.totals.highest)


def judge(claim: Claim, totals: Totals | None, *, has_addresses: bool) -> Verdict:
    """Whether the claim was true of these totals; None where they are not known."""
    if not has_addresses:
        return NotJudged(Unknown.NO_ADDRESS)
    if totals is None:
        return NotJudged(Unknown.NOT_READ)
    least, most = claim.bounds
    fits = totals.highest >= least and totals.lowest <= most
    match claim.covers:
        case Covers.PUBLISHED:
            return Holds() if fits else Mismatched()
        case Covers.EVERYTHING:
            # coins elsewhere can only add to what was seen: enough for a lower bound, and for nothing else
            proven = fits and claim.says is Says.AT_LEAST
            return Holds() if proven else NotJudged(Unknown.COVERS_MORE)


def sentence(claim: Claim, totals: Totals | None, *, has_addresses: bool, lang: str = "en") -> str:
    """What is seen beside what is claimed, for people; amounts in bitcoin, exact, digits not grouped."""
    words = _WORDS[lang]
    unstated = claim.sats == 0 and claim.says is Says.AT_LEAST
    claimed = words["unstated"] if unstated else f"{btc(claim.sats)} BTC"
    if not has_addresses:
        return words["no_address"].format(claimed=claimed)
    if totals is None:
        return words["not_read"].format(claimed=claimed)
    low, high = btc(totals.lowest), btc(totals.highest)
    seen = f"{low} BTC" if low == high else words["between"].format(low=low, high=high)
    if claim.covers is Covers.PUBLISHED:
        return words["published"].format(seen=seen, claimed=claimed)
    unseen = f"{btc(max(0, claim.sats - totals.highest))} BTC"
    return words["everything"].format(seen=seen, claimed=claimed, unseen=unseen)


def btc(sats: Sats) -> str:
    """Satoshis as an exact decimal of bitcoin, without trailing zeros: `6240`, `0.00012345`."""
    whole, part = divmod(sats, _SATS_PER_BTC)
    return f"{whole}.{part:08d}".rstrip("0").removesuffix(".")


_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "between": "{low} to {high} BTC",
        "unstated": "an unstated amount",
        "published": "{seen} at the published addresses, {claimed} claimed",
        "everything": (
            "{seen} at the published addresses, {claimed} claimed, {unseen} not at the published addresses"
        ),
        "no_address": "{claimed} claimed, no address published: it cannot be verified",
        "not_read": "{claimed} claimed, of a time that was not read: it cannot be judged",
    },
    "es": {
        "between": "de {low} a {high} BTC",
        "unstated": "un monto sin indicar",
        "published": "{seen} en las direcciones publicadas, declarado: {claimed}",
        "everything": (
            "{seen} en las direcciones publicadas, declarado: {claimed}, "
            "{unseen} fuera de las direcciones publicadas"
        ),
        "no_address": "declarado: {claimed}, ninguna dirección publicada: no se puede verificar",
        "not_read": "declarado: {claimed}, de un momento que no se leyó: no se puede juzgar",
    },
}
