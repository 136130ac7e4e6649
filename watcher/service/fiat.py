"""Asks a price service of mempool's kind what a bitcoin costs: exact decimals, bounded, never trusted far.

`GET /v1/prices` answers `{"time": 1703252411, "USD": 43753, …}`, and `GET /v1/historical-price` with
`currency` and `timestamp` a list of one such in `prices`; a price of -1 is one it does not know.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import aiohttp

from watcher import __version__
from watcher.core.fiat import Rate

if TYPE_CHECKING:
    from typing import Any

TOTAL_SECONDS: Final = 15.0
MAX_ANSWER_BYTES: Final = 65_536
_NEAR_SECONDS: Final = 86_400  # a service of daily prices has one within a day
_MAX_RATE: Final = Decimal(10) ** 12
_HEADERS: Final = {
    "User-Agent": f"treasury-watcher/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}


class NoPriceError(Exception):
    """The service gave no price; the text says why, in our words."""


class UnknownPriceError(NoPriceError):
    """The service says that it does not know the price."""


async def latest_rate(url: str, currency: str, now_ms: int) -> Rate:
    """The present price; `url` ends before `/v1`. NoPriceError where there is none."""
    answer = await _get(f"{url.rstrip('/')}/v1/prices")
    seconds = answer.get("time")
    if type(seconds) is not int or seconds <= 0:
        raise NoPriceError("no time in the answer")
    # a service whose clock is ahead must not make a price young for ever
    return Rate(currency, _price(answer, currency), min(seconds * 1000, now_ms))


async def rate_of_day(url: str, currency: str, noon: int) -> Rate:
    """The price about that second; NoPriceError where none came, UnknownPriceError where there is none."""
    answer = await _get(f"{url.rstrip('/')}/v1/historical-price?currency={currency}&timestamp={noon}")
    prices = answer.get("prices")
    if not isinstance(prices, list):
        raise NoPriceError("no prices in the answer")
    found = prices[0] if prices else {currency: -1}
    if not isinstance(found, dict):
        raise NoPriceError("an answer of another shape")
    rate = _price(found, currency)
    seconds = found.get("time")
    if type(seconds) is not int or abs(seconds - noon) > _NEAR_SECONDS:
        raise UnknownPriceError("the price of that day is not known there")
    return Rate(currency, rate, seconds * 1000)


def _price(answer: dict[str, Any], currency: str) -> Decimal:
    price = answer.get(currency)
    match price:
        case int() if type(price) is int:
            price = Decimal(price)
        case Decimal():
            pass
        case _:
            raise NoPriceError(f"no price in {currency}")
    if price == -1:
        raise UnknownPriceError(f"the price in {currency} is not known there")
    if not 0 < price < _MAX_RATE:
        raise NoPriceError("a price that cannot be")
    return price


async def _get(url: str) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
            session.get(url, allow_redirects=False, headers=_HEADERS) as response,
        ):
            if response.status != 200:
                raise NoPriceError(f"status {response.status}")
            heard = bytearray()
            async for chunk in response.content.iter_any():
                heard += chunk
                if len(heard) > MAX_ANSWER_BYTES:
                    raise NoPriceError("an answer that is too large")
    except TimeoutError as error:
        raise NoPriceError("no answer in time") from error
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        raise NoPriceError(f"no answer: {type(error).__name__}") from error
    try:
        answer = json.loads(heard, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NoPriceError("an answer that is not JSON") from error
    if not isinstance(answer, dict):
        raise NoPriceError("an answer of another shape")
    return answer


def _refuse(constant: str) -> None:
    raise ValueError(constant)
