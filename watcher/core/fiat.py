"""What coins are worth in a currency: exact decimals, at a rate that has an age."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from watcher.core.instants import rfc3339

if TYPE_CHECKING:
    from watcher.bitcoin.types import Sats
    from watcher.core.events import Data

_BTC: Final = Decimal(100_000_000)
_CENT: Final = Decimal("0.01")
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)  # 21 million coins at 12 + 8 digits, and room


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of the currency a bitcoin, and when that was so."""

    currency: str
    rate: Decimal
    as_of_ms: int


RateAt: TypeAlias = Callable[[int], Rate | None]
"""The rate at which an amount of that instant (milliseconds) is told; None where none is recent enough."""


def no_rate(_at_ms: int) -> Rate | None:
    """Amounts are told in coins alone."""
    return None


def worth(sats: Sats, rate: Rate) -> str:
    """The amount in the currency, to the hundredth, halves to the even one."""
    exact = _EXACT.divide(_EXACT.multiply(Decimal(sats), rate.rate), _BTC)
    amount = exact.quantize(_CENT, context=_EXACT)
    return f"{amount or abs(amount):f}"  # no minus before zero


def fiat_data(sats: Sats, rate: Rate) -> Data:
    """A delivery's `fiat`."""
    return {
        "currency": rate.currency,
        "amount": worth(sats, rate),
        "rate": shown(rate),
        "as_of": rfc3339(rate.as_of_ms),
    }


def shown(rate: Rate) -> str:
    """The rate with at least two decimals, as exact as it was given."""
    places = -min(-2, int(rate.rate.normalize().as_tuple().exponent))
    return f"{rate.rate:.{places}f}"
