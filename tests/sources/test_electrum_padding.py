"""A server that holds small answers back for up to a second, as ElectrumX does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.toy.bells import until
from tests.toy.coding import scripthash
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import Connect
    from tests.toy.bells import Bells
    from tests.toy.chain import ToyChain
    from watcher.sources.electrum import ElectrumSource

OURS = b"\x00\x14" + b"\x01" * 20
US = scripthash(OURS)


@pytest.fixture
async def server(chain: ToyChain) -> AsyncIterator[ToyElectrum]:
    async with ToyElectrum(chain, pads=True) as started:
        yield started


async def test_small_questions_do_not_wait_for_the_second_to_pass(
    chain: ToyChain, source: ElectrumSource
) -> None:
    paid = chain.pay(OURS, 10_000)
    chain.mine()
    async with asyncio.timeout(0.8):
        for _ in range(10):
            await source.tip()
            await source.watch([US])
            await source.histories([US])
            await source.transactions([paid])
            await source.branches([(paid, chain.height)])
            await source.headers(chain.height, 1)
            await source.headers(0, 13)
            await source.headers(0, 14)


async def test_the_same_questions_asked_singly_do_wait_so_the_server_does_hold_back(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    server.faults.refuses_batches = True
    async with connect(server.url, bells) as source:
        began = asyncio.get_running_loop().time()
        await source.tip()
        assert asyncio.get_running_loop().time() - began > 0.5


async def test_the_bells_that_follow_a_header_are_pushed_out(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    await source.watch([US])
    chain.pay(OURS, 10_000)
    await bells.until(lambda: len(bells.scripts) == 1)
    (client,) = server.clients
    await until(lambda: client.quiet_for() > 1.0)
    # now a header leaves at once, and what is said after it would wait for a second
    chain.mine()
    async with asyncio.timeout(0.7):
        await bells.until(lambda: len(bells.scripts) == 2)
    assert bells.log[-2:] == ["tip", "script"]
