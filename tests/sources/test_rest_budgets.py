"""Budgets: in no window of time more requests than allowed, and never none for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.explorers import OFTEN, SELDOM, connected
from tests.toy.coding import scripthash
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.networks import Network
from watcher.sources.base import Unavailable
from watcher.sources.budget import Allowance
from watcher.sources.esplora import EsploraSource

if TYPE_CHECKING:
    from tests.toy.bells import Bells
    from tests.toy.chain import ToyChain

GREETING = 7  # requests until a source is connected

limits = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([1.0, 7.0, 60.0, 3600.0])), min_size=1, max_size=3
)


@given(limits, st.lists(st.floats(0, 200), max_size=150))
def test_no_window_sees_more_than_its_requests(budget: list[tuple[int, float]], pauses: list[float]) -> None:
    now, allowance, sent = 1_000.0, Allowance(budget, 1_000.0), []
    for pause in pauses:
        now += pause
        delay = allowance.delay(now)
        assert delay == allowance.take(now) >= 0
        sent.append(now + delay)
    assert sent == sorted(sent)
    for requests, seconds in budget:
        for first, later in zip(sent, sent[requests:], strict=False):
            assert later - first >= seconds - 1e-6


@given(st.integers(1, 1_000), st.sampled_from([1.0, 3600.0]))
def test_it_never_has_to_wait_for_the_whole_time(requests: int, seconds: float) -> None:
    allowance, now = Allowance([(requests, seconds)], 0.0), 0.0
    for _ in range(2 * requests):
        wait = allowance.take(now)
        assert wait <= seconds / requests * 1.5
        now += wait


def test_a_first_reading_may_use_a_quarter_at_once() -> None:
    allowance = Allowance([(700, 3_600.0)], 0.0)
    assert [allowance.take(0.0) for _ in range(175)] == [0.0] * 175
    assert allowance.delay(0.0) == pytest.approx(3_600 / 526)
    assert allowance.spacing == pytest.approx(3_600 / 526)


def test_no_budget_is_no_wait() -> None:
    allowance = Allowance([], 0.0)
    assert [allowance.take(0.0) for _ in range(1_000)] == [0.0] * 1_000
    assert allowance.spacing == 0.0


@pytest.mark.parametrize("limit", [(0, 1.0), (1, 0.0)])
def test_a_limit_allows_something(limit: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Allowance([limit], 0.0)


async def test_beyond_the_budget_nothing_is_sent(chain: ToyChain, bells: Bells) -> None:
    scripts = [scripthash(bytes([at, at])) for at in range(20)]
    # sixteen go out together; then one every 73 s: nobody has that patience
    asking = replace(SELDOM, budget=((64, 3_600.0),))
    async with ToyEsplora(chain) as server, connected(server.url, bells, asking=asking) as source:
        assert server.asked == GREETING
        told = await source.watch(scripts)
        assert server.asked == 16
        given_up = [one for one in told.values() if isinstance(one, Unavailable)]
        assert len(told) == 20
        assert [told[one] for one in scripts[:4]] == [None] * 4
        assert len(given_up) == 16
        assert all(one.retry_after is not None and one.retry_after > 30 for one in given_up)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):  # the tip has its turn, whenever that is
                await source.tip()
        assert server.asked == 16


async def test_a_tight_budget_slows_the_looks_at_the_tip(chain: ToyChain, bells: Bells) -> None:
    asking = replace(OFTEN, budget=((400, 20.0),))
    async with ToyEsplora(chain) as server, connected(server.url, bells, asking=asking):
        chain.mine()
        await bells.until(lambda: bells.count("tip") > 0)
        chain.mine()
        await bells.until(lambda: bells.count("tip") > 1)
        assert bells.count("disconnected") == 0
        assert server.asked >= GREETING + 4


def test_a_sweep_takes_as_long_as_the_budget_asks_for() -> None:
    def seconds(*budget: tuple[int, float]) -> float:
        asking = replace(SELDOM, budget=budget)
        source = EsploraSource(
            "toy", "http://x/api", Network.REGTEST, clock=lambda: 0.0, draw=lambda: 0.0, asking=asking
        )
        return source.sweep_seconds(300)

    assert seconds() == 0.0
    hours = seconds((700, 3_600.0)) / 3_600
    assert 300 / 700 < hours < 0.8  # with the looks at the tip beside it
    assert seconds((700, 3_600.0), (5, 1.0)) == seconds((700, 3_600.0))
