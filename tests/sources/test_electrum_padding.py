"""A server that holds small answers back for up to a second, as ElectrumX does."""

from __future__ import annotations

from functools import partial
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
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    paid = chain.pay(OURS, 10_000)
    chain.mine()
    for _ in range(10):
        await source.tip()
        await source.watch([US])
        await source.histories([US])
        await source.transactions([paid])
        await source.branches([(paid, chain.height)])
        await source.headers(chain.height, 1)
        await source.headers(0, 13)
        await source.headers(0, 14)
    assert server.waited == 0


async def test_the_same_questions_asked_singly_do_wait_so_the_server_does_hold_back(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    server.faults.refuses_batches = True
    async with connect(server.url, bells) as source:
        for _ in range(20):  # one that comes after a second of silence is answered at once
            await source.tip()
            if server.waited:
                return
        pytest.fail("it never held anything back")


async def test_the_bells_that_follow_a_header_are_pushed_out(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    await source.watch([US])
    (client,) = server.clients
    for _ in range(5):  # where this process stood still for that second, it proves nothing
        rung = len(bells.scripts)
        chain.pay(OURS, 10_000)
        await bells.until(partial(_have_rung, bells, rung + 1))
        await until(lambda: client.quiet_for() > 1.0)
        # now a header leaves at once, and what is said after it would wait for a second
        waited = server.waited
        chain.mine()
        await bells.until(partial(_have_rung, bells, rung + 2))
        assert bells.log[-2:] == ["tip", "script"]
        if server.waited == waited:
            return
    pytest.fail("each time the clock alone has brought them")


def _have_rung(bells: Bells, scripts: int) -> bool:
    return len(bells.scripts) == scripts
