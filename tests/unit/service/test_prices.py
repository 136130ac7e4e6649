"""What is taken of a price service's answer, and what is not."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.stack.prices import Prices, priced
from watcher.core.fiat import Rate
from watcher.service.fiat import (
    MAX_ANSWER_BYTES,
    NoPriceError,
    UnknownPriceError,
    latest_rate,
    rate_of_day,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW_MS = 1_795_521_600_000


@pytest_asyncio.fixture
async def prices() -> AsyncIterator[Prices]:
    async with Prices() as service:
        yield service


async def test_the_price_is_taken_exactly_with_its_time(prices: Prices) -> None:
    prices.answer = b'{"time":1795521000,"USD":90244.123456789012345,"EUR":1}'
    found = await latest_rate(f"{prices.url}/", "USD", NOW_MS)
    assert found == Rate("USD", Decimal("90244.123456789012345"), 1_795_521_000_000)
    assert prices.asked == ["/api/v1/prices"]


async def test_a_time_to_come_is_now(prices: Prices) -> None:
    prices.answer = priced({"USD": 1}, at=NOW_MS // 1000 + 86_400)
    assert (await latest_rate(prices.url, "USD", NOW_MS)).as_of_ms == NOW_MS


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (priced({"USD": -1}, at=NOW_MS // 1000), "not known there"),
        (priced({"EUR": 1}, at=NOW_MS // 1000), "no price in USD"),
        (priced({"USD": 0}, at=NOW_MS // 1000), "cannot be"),
        (priced({"USD": -2}, at=NOW_MS // 1000), "cannot be"),
        (priced({"USD": True}, at=NOW_MS // 1000), "no price in USD"),
        (priced({"USD": "43753"}, at=NOW_MS // 1000), "no price in USD"),
        (b'{"time":1795521000,"USD":1e300}', "cannot be"),
        (b'{"time":1795521000,"USD":NaN}', "not JSON"),
        (b'{"time":1795521000,"USD":Infinity}', "not JSON"),
        (b'{"USD":43753}', "no time"),
        (b'{"time":"now","USD":43753}', "no time"),
        (b"[1]", "another shape"),
        (b"<html>", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b" " * (MAX_ANSWER_BYTES + 1), "too large"),
    ],
)
async def test_what_is_no_price_is_none(prices: Prices, answer: bytes, says: str) -> None:
    prices.answer = answer
    with pytest.raises(NoPriceError, match=says):
        await latest_rate(prices.url, "USD", time.time_ns() // 1_000_000)


@pytest.mark.parametrize("status", [204, 302, 404, 429, 503])
async def test_another_status_is_no_price_and_nothing_is_followed(prices: Prices, status: int) -> None:
    prices.status = status
    with pytest.raises(NoPriceError, match=f"status {status}"):
        await latest_rate(prices.url, "USD", NOW_MS)
    assert prices.asked == ["/api/v1/prices"]


async def test_the_price_of_a_day_is_one_near_its_noon(prices: Prices) -> None:
    found = await rate_of_day(prices.url, "USD", 1_500_000_000)
    assert found == Rate("USD", Decimal("2254.9"), 1_499_996_400_000)
    assert prices.asked == ["/api/v1/historical-price?currency=USD&timestamp=1500000000"]


@pytest.mark.parametrize(
    "past", [[], [{"time": 0, "USD": -1}], [{"time": 1_500_000_000, "USD": -1}], [{"time": 1, "USD": 5}]]
)
async def test_a_day_that_the_service_does_not_know_is_known_to_be_unknown(
    prices: Prices, past: object
) -> None:
    prices.past = lambda _: past
    with pytest.raises(UnknownPriceError):
        await rate_of_day(prices.url, "USD", 1_500_000_000)


@pytest.mark.parametrize(
    "past", [None, {}, ["5"], [{"time": 1_500_000_000}], [{"time": 1_500_000_000, "USD": "5"}]]
)
async def test_an_answer_that_cannot_be_read_says_nothing_of_the_day(prices: Prices, past: object) -> None:
    prices.past = lambda _: past
    with pytest.raises(NoPriceError) as refused:
        await rate_of_day(prices.url, "USD", 1_500_000_000)
    assert not isinstance(refused.value, UnknownPriceError)


async def test_nobody_there_is_no_price_and_the_url_is_not_told(nobodys_port: int) -> None:
    with pytest.raises(NoPriceError, match="no answer") as refused:
        await latest_rate(f"http://127.0.0.1:{nobodys_port}/key-in-path", "USD", NOW_MS)
    assert "key-in-path" not in str(refused.value)


@pytest.mark.parametrize("host", ["prices..example", f"{'a' * 64}.example"])
async def test_a_host_that_no_resolver_takes_has_no_price(host: str) -> None:
    with pytest.raises(NoPriceError, match="no answer") as refused:
        await latest_rate(f"http://{host}/key-in-path", "USD", NOW_MS)
    assert "key-in-path" not in str(refused.value)
