"""What was claimed, held against what was seen."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.types import MAX_SATS
from watcher.core.claims import (
    Claim,
    Covers,
    Holds,
    Mismatched,
    NotJudged,
    Says,
    Totals,
    Unknown,
    btc,
    judge,
    sentence,
)

BTC = 100_000_000


def _claim(
    says: Says, coins: int, *, tolerance: int | None = None, covers: Covers = Covers.PUBLISHED
) -> Claim:
    return Claim(
        id="one",
        says=says,
        sats=coins,
        tolerance_sats=tolerance,
        as_of=date(2025, 7, 18),
        standing=False,
        covers=covers,
        role="press",
        by=None,
        quote=None,
        source=None,
        archived=None,
        read=None,
    )


@pytest.mark.parametrize(
    ("says", "coins", "low", "high", "holds"),
    [
        (Says.AT_LEAST, 6240, 6240, 6240, True),
        (Says.AT_LEAST, 6240, 6000, 6240, True),
        (Says.AT_LEAST, 6240, 6000, 6239, False),
        (Says.AT_LEAST, 6240, 9000, 9000, True),
        (Says.AT_MOST, 6240, 6240, 9000, True),
        (Says.AT_MOST, 6240, 6241, 9000, False),
        (Says.EXACTLY, 6240, 6240, 6240, True),
        (Says.EXACTLY, 6240, 6000, 7000, True),
        (Says.EXACTLY, 6240, 6241, 7000, False),
        (Says.EXACTLY, 6240, 0, 6239, False),
        (Says.ABOUT, 6240, 6250, 6300, True),
        (Says.ABOUT, 6240, 6251, 6300, False),
        (Says.ABOUT, 6240, 0, 6230, True),
        (Says.ABOUT, 6240, 0, 6229, False),
    ],
)
def test_a_claim_holds_when_some_moment_of_its_day_bears_it_out(
    says: Says, coins: int, low: int, high: int, *, holds: bool
) -> None:
    claim = _claim(says, coins * BTC, tolerance=10 * BTC if says is Says.ABOUT else None)
    verdict = judge(claim, Totals(low * BTC, high * BTC), has_addresses=True)
    assert verdict == (Holds() if holds else Mismatched())


def test_one_satoshi_decides() -> None:
    claim = _claim(Says.AT_LEAST, 6240 * BTC)
    short = Totals(6240 * BTC - 1, 6240 * BTC - 1)
    assert judge(claim, short, has_addresses=True) == Mismatched()


def test_what_was_not_seen_is_not_judged() -> None:
    claim = _claim(Says.AT_LEAST, 6240 * BTC)
    assert judge(claim, None, has_addresses=True) == NotJudged(Unknown.NOT_READ)
    assert judge(claim, None, has_addresses=False) == NotJudged(Unknown.NO_ADDRESS)
    assert judge(claim, Totals(0, 0), has_addresses=False) == NotJudged(Unknown.NO_ADDRESS)


@given(
    says=st.sampled_from(Says),
    coins=st.integers(0, MAX_SATS),
    tolerance=st.integers(0, MAX_SATS),
    seen=st.tuples(st.integers(0, MAX_SATS), st.integers(0, MAX_SATS)),
)
def test_a_claim_about_everything_is_never_refuted(
    says: Says, coins: int, tolerance: int, seen: tuple[int, int]
) -> None:
    claim = _claim(says, coins, tolerance=tolerance, covers=Covers.EVERYTHING)
    verdict = judge(claim, Totals(min(seen), max(seen)), has_addresses=True)
    if says is Says.AT_LEAST and max(seen) >= coins:
        assert verdict == Holds()
    else:
        assert verdict == NotJudged(Unknown.COVERS_MORE)


def test_people_read_what_is_seen_beside_what_is_claimed() -> None:
    claim = _claim(Says.AT_LEAST, 6240 * BTC)
    assert (
        sentence(claim, Totals(6000 * BTC, 6000 * BTC), has_addresses=True)
        == "6000 BTC at the published addresses, 6240 BTC claimed"
    )
    assert (
        sentence(claim, Totals(6000 * BTC, 6000 * BTC + 1), has_addresses=True)
        == "6000 to 6000.00000001 BTC at the published addresses, 6240 BTC claimed"
    )
    everything = _claim(Says.AT_LEAST, 6240 * BTC, covers=Covers.EVERYTHING)
    assert sentence(everything, Totals(0, 6000 * BTC), has_addresses=True) == (
        "0 to 6000 BTC at the published addresses, 6240 BTC claimed, 240 BTC not at the published addresses"
    )
    assert "0 BTC not at" in sentence(everything, Totals(0, 7000 * BTC), has_addresses=True)
    assert sentence(claim, None, has_addresses=True).endswith("it cannot be judged")
    unstated = _claim(Says.AT_LEAST, 0, covers=Covers.EVERYTHING)
    assert sentence(unstated, None, has_addresses=False) == (
        "an unstated amount claimed, no address published: it cannot be verified"
    )


def test_spanish_says_the_same() -> None:
    everything = _claim(Says.AT_LEAST, 6240 * BTC, covers=Covers.EVERYTHING)
    told = sentence(everything, Totals(6000 * BTC, 6000 * BTC), has_addresses=True, lang="es")
    assert told == (
        "6000 BTC en las direcciones publicadas, declarado: 6240 BTC, "
        "240 BTC fuera de las direcciones publicadas"
    )


@given(st.integers(0, MAX_SATS))
def test_amounts_are_exact_decimals(sats: int) -> None:
    whole, _, part = btc(sats).partition(".")
    assert int(whole) * BTC + int((part or "0").ljust(8, "0")) == sats
    assert not part.endswith("0")
