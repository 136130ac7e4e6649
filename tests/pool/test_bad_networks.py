"""Networks that delay, cut, slice and reset: told once, and nothing is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pool.rig import electrum, pool
from tests.toy.toxic import Toxic

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pool.rig import Pool
    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum
    from tests.toy.keys import Key


async def told_once(here: Pool, chain: ToyChain, key: Key) -> None:
    """Coins come in before, while and after, and each is told once."""
    for _ in range(3):
        chain.pay(key.script, 50_000)
        chain.mine()
    await here.happens(lambda: here.balance == (150_000, 0), "three inflows")
    ids = [event.id for event in here.events]
    assert len(ids) == len(set(ids))
    assert len(here.told("tx.confirmed")) == 3


@pytest.mark.parametrize(
    ("latency", "slices", "rate"), [(0.5, None, None), (None, 1, None), (None, 100, 20_000.0)]
)
async def test_slow_and_sliced_answers_are_whole_answers(
    latency: float | None,
    slices: int | None,
    rate: float | None,
    servers: dict[str, ToyElectrum],
    chain: ToyChain,
    key: Key,
    tmp_path: Path,
) -> None:
    async with Toxic(servers["a"].port) as toxic:
        toxic.latency, toxic.slices, toxic.rate = latency, slices, rate
        async with pool(tmp_path, electrum({"a": toxic}), [key.script]) as here:
            await here.baselined()
            await told_once(here, chain, key)
            assert not here.watch.conduct.strikes


async def test_resets_in_the_middle_of_answers_lose_nothing(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with Toxic(servers["a"].port) as toxic:
        toxic.limit = 60_000
        async with pool(tmp_path, electrum({"a": toxic}), [key.script]) as here:
            await here.baselined()
            for _ in range(5):
                chain.pay(key.script, 10_000)
                chain.mine()
                toxic.reset()
            await here.happens(lambda: here.balance == (50_000, 0), "five inflows")
            assert len(here.told("tx.confirmed")) == 5
            assert toxic.connections > 1
            assert not here.watch.conduct.strikes


async def test_while_one_stalls_another_tells(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    toxic = Toxic(servers["a"].port)
    async with toxic, pool(tmp_path, electrum({"a": toxic, "b": servers["b"]}), [key.script]) as here:
        await here.baselined()
        toxic.stalled = True
        await told_once(here, chain, key)


async def test_after_a_gap_without_any_source_all_is_found(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        for server in servers.values():
            await server.stop()
        await here.happens(lambda: not here.doorbells.up, "everybody away")
        chain.pay(key.script, 50_000)
        chain.mine()
        for server in servers.values():
            await server.start()
        await here.happens(lambda: here.balance == (50_000, 0), "the inflow")
        assert len(here.told("tx.confirmed")) == 1
