"""Two unconfirmed transactions that spend one coin, each in some mempools: the story goes one way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.pool.rig import electrum, pool
from tests.stack.processes import until
from tests.toy.chain import FAUCET, FEE, ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from tests.toy.keys import Key
from watcher.bitcoin.types import Outpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.pool.rig import Pool

STRANGER = b"\x52\x20" + b"\x77" * 32
NAMES = ("one", "two", "three", "four")
FIRST, OTHER = Key(7), Key(8)


def _rivals(chain: ToyChain, first: Key, other: Key) -> tuple[Tx, Tx]:
    """Two spends of one stranger's coin, 50,000 to the one and 40,000 to the other, in no mempool yet."""
    payment = chain.transactions[chain.pay(STRANGER, 50_000)]
    chain.drop(payment.txid)
    return (
        Tx(payment.inputs, ((first.script, 50_000),)),
        Tx(payment.inputs, ((other.script, 40_000),)),
    )


@asynccontextmanager
async def four(chain: ToyChain, state: Path, *keys: Key) -> AsyncIterator[tuple[Pool, list[ToyElectrum]]]:
    """A watch of these keys on four servers of different people, baselined; two of them are a quorum."""
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(ToyElectrum(chain)) for name in NAMES}
        scripts = [key.script for key in keys]
        here = await stack.enter_async_context(pool(state, electrum(servers), scripts))
        await here.baselined()
        yield here, list(servers.values())


async def parted(here: Pool, servers: list[ToyElectrum], first: Tx, rival: Tx) -> None:
    """The first is told, then its rival in the other half of the mempools, and so it stays."""
    for server in servers[:2]:
        server.fake_unconfirmed(first)
    await here.happens(lambda: bool(here.told("tx.seen")), "the first")
    for server in servers[2:]:
        server.fake_unconfirmed(rival)
    await here.happens(lambda: bool(here.told("tx.replaced")), "the rival")
    for _ in range(10):
        await here.sweep()
    assert [e.txid for e in here.told("tx.seen")] == [first.txid, rival.txid]
    assert [e.txid for e in here.told("tx.replaced")] == [first.txid]


@pytest.mark.parametrize("rivals_key", [7, 8])
async def test_the_one_told_first_comes_back_only_when_nobody_has_its_rival(
    chain: ToyChain, tmp_path: Path, rivals_key: int
) -> None:
    """Also where the rival pays another script of ours, and is in no history that has the first."""
    first, rival = _rivals(chain, FIRST, Key(rivals_key))
    async with four(chain, tmp_path, FIRST, OTHER) as (here, servers):
        await parted(here, servers, first, rival)
        assert here.balance == (0, 40_000)
        for server in servers[2:]:
            server.take_back(rival.txid)
        await here.happens(lambda: here.balance == (0, 50_000), "the first again")


async def test_what_spends_from_the_first_goes_and_comes_with_it(chain: ToyChain, tmp_path: Path) -> None:
    first, rival = _rivals(chain, FIRST, OTHER)
    spend = FIRST.spend(Outpoint(first.txid, 0), [(STRANGER, 20_000), (FIRST.script, 29_000)])
    async with four(chain, tmp_path, FIRST, OTHER) as (here, servers):
        for server in servers[:2]:
            server.fake_unconfirmed(first)
            server.fake_unconfirmed(spend)
        await here.happens(lambda: here.balance == (0, 29_000), "both")
        for server in servers[2:]:
            server.fake_unconfirmed(rival)
        await here.happens(lambda: here.balance == (0, 40_000), "the rival")
        for _ in range(10):
            await here.sweep()
        assert len(here.told("tx.replaced")) == 2
        assert here.balance == (0, 40_000)
        for server in servers[2:]:
            server.take_back(rival.txid)
        await here.happens(lambda: here.balance == (0, 29_000), "both again")


async def test_who_alone_showed_a_parent_and_its_child_that_fell_together_is_no_liar(tmp_path: Path) -> None:
    generous, other = ToyChain(), ToyChain()
    async with ToyElectrum(generous) as one, ToyElectrum(other) as two:
        sources = electrum({"one": one, "two": two})
        async with pool(tmp_path, sources, [FIRST.script], wanted=2) as here:
            await here.baselined()
            parent = generous.pay(FIRST.script, 5_000)
            outputs = generous.transactions[parent].outputs
            vout, left = next((n, sats) for n, (script, sats) in enumerate(outputs) if script == FAUCET)
            generous.spend([Outpoint(parent, vout)], [(FIRST.script, 1_000), (FAUCET, left - 1_000 - FEE)])
            await here.sweep()
            await here.happens(lambda: len(here.watch.candidates) == 2, "both")
            generous.replace(parent, [(FAUCET, 3_000)])
            for _ in range(3):
                await here.sweep()
            await here.happens(lambda: len(here.watch.candidates) == 0, "neither")
            assert here.watch.conduct.strikes == {}


async def test_what_waits_at_all_of_them_rings_nobody(chain: ToyChain, tmp_path: Path) -> None:
    """All show both rivals by now, and the first still waits: what each says is known to the others."""
    first, rival = _rivals(chain, FIRST, OTHER)
    async with four(chain, tmp_path, FIRST, OTHER) as (here, servers):
        await parted(here, servers, first, rival)
        for server in servers:
            server.faults.fakes = {first.txid: first, rival.txid: rival}
            server.notify()
        for _ in range(3):
            await here.sweep()

        async def quiet() -> bool:
            before = here.watch.rounds
            await asyncio.sleep(1)
            return here.watch.rounds == before

        await until(quiet, within=30, what="an end of the questions")
