"""What coins are worth: exact, rounded once, at a rate that is told with its time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.types import MAX_SATS
from watcher.core.fiat import Rate, fiat_data, worth


def rate(text: str) -> Rate:
    return Rate("USD", Decimal(text), 1_795_521_600_000)


def test_a_delivery_tells_amount_rate_and_time() -> None:
    assert fiat_data(-5_000_000, rate("90244")) == {
        "currency": "USD",
        "amount": "-4512.20",
        "rate": "90244.00",
        "as_of": "2026-11-24T12:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("sats", "price", "amount"),
    [
        (100_000_000, "43753", "43753.00"),
        (1, "43753", "0.00"),
        (-1, "43753", "0.00"),
        (50_000_000, "0.01", "0.00"),  # half a cent goes to the even one
        (150_000_000, "0.01", "0.02"),
        (MAX_SATS, "999999999999.99999999", "20999999999999999999.79"),
    ],
)
def test_amounts_are_exact_to_the_hundredth(sats: int, price: str, amount: str) -> None:
    assert worth(sats, rate(price)) == amount


@given(st.integers(-MAX_SATS, MAX_SATS), st.decimals("0.00000001", "1000000", places=8))
def test_it_is_the_nearest_hundredth(sats: int, price: Decimal) -> None:
    told = int(worth(sats, Rate("USD", price, 0)).replace(".", ""))
    exact = sats * int(price * 10**8)  # in 10^-16 of the currency
    assert abs(told * 10**14 - exact) <= 10**14 // 2


@pytest.mark.parametrize(
    ("given", "told"),
    [("90244", "90244.00"), ("90244.5", "90244.50"), ("0.12345678", "0.12345678"), ("1E+5", "100000.00")],
)
def test_a_rate_is_told_as_exactly_as_it_was_given(given: str, told: str) -> None:
    assert fiat_data(1, rate(given))["rate"] == told
