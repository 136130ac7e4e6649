"""Honest sources that are late, away or busy: what they show is told, and none of them is struck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.pool.rig import QUICK, electrum, pool
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.networks import Network
from watcher.sources.esplora import EsploraSource
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.coding import Tx
    from tests.toy.electrum import ToyElectrum
    from tests.toy.keys import Key
    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Histories, SourceError

Servers = dict[str, "ToyElectrum"]


class Observed(EsploraSource):
    """An explorer, and what happens on the chain between a status and its history."""

    def __init__(self, server: ToyEsplora) -> None:
        super().__init__(
            "explorer",
            server.url,
            Network.REGTEST,
            clock=time.time,
            draw=lambda: 0.5,
            backoff=QUICK,
            asking=Asking(every=0.05),
        )
        self.busy: tuple[ToyChain, bytes] | None = None
        self._told = False

    async def watch(self, scripthashes: Iterable[ScriptHash]) -> dict[ScriptHash, str | SourceError | None]:
        told = await super().watch(scripthashes)
        self._told = True
        return told

    async def histories(self, scripthashes: Iterable[ScriptHash]) -> Histories:
        if self.busy is not None and self._told:
            self._told = False
            chain, script = self.busy
            chain.mine()
            chain.pay(script, 1_000)
        return await super().histories(scripthashes)


def payment_to(chain: ToyChain, key: Key) -> Tx:
    """One that is in no mempool yet."""
    tx = chain.transactions[chain.pay(key.script, 50_000)]
    chain.drop(tx.txid)
    return tx


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_the_second_source_shows_without_a_ring_is_told(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path, *, restarted: bool
) -> None:
    """By what it said before, and by what the other says, nothing is new on the script."""
    chain.pay(key.script, 10_000)
    chain.mine()
    tx = payment_to(chain, key)
    two = {name: servers[name] for name in ("a", "b")}
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.baselined()
        two["a"].fake_unconfirmed(tx)
        await here.happens(lambda: len(here.watch.candidates) == 1, "the word of the first")
        for _ in range(3):
            await here.sweep()
        if not restarted:
            two["b"].swallow_notifications()
            two["b"].fake_unconfirmed(tx)
            await here.happens_by_sweeping(lambda: bool(here.told("tx.seen")), "the payment")
            return
    two["b"].fake_unconfirmed(tx)
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.happens_by_sweeping(lambda: bool(here.told("tx.seen")), "the payment")


async def test_what_an_explorer_shows_a_moment_later_is_told(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 10_000)
    chain.mine()
    async with ToyEsplora(chain) as explorer:
        sources = [*electrum({"a": servers["a"]}), Observed(explorer)]
        async with pool(tmp_path, sources, [key.script]) as here:
            await here.baselined()
            tx = payment_to(chain, key)
            await here.sweep()
            here.events.clear()
            explorer.faults.omitted.add(tx.txid)
            chain.send_again(tx.txid)
            await here.happens(lambda: len(here.watch.candidates) == 1, "the server's word")
            await here.sweep()
            explorer.faults.omitted.clear()
            await here.happens_by_sweeping(lambda: bool(here.told("tx.seen")), "the payment")
            assert [event.txid for event in here.told("tx.seen")] == [tx.txid]


async def test_an_explorer_of_a_busy_script_is_no_liar(chain: ToyChain, key: Key, tmp_path: Path) -> None:
    chain.mine(30)
    chain.pay(key.script, 10_000)
    chain.mine()
    async with ToyEsplora(chain) as server:
        explorer = Observed(server)
        async with pool(tmp_path, [explorer], [key.script], wanted=1) as here:
            await here.baselined()
            explorer.busy = (chain, key.script)
            for _ in range(6):
                chain.pay(key.script, 1_000)
                chain.mine()
                await here.sweep()
                await here.sweep()
            assert not here.watch.conduct.strikes


async def test_what_only_a_source_that_is_away_still_showed_is_dropped(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        tx = chain.transactions[chain.pay(key.script, 50_000)]
        await here.happens(lambda: here.balance == (0, 50_000), "the payment")
        await here.sweep()
        servers["c"].faults.fakes[tx.txid] = tx  # its mempool is larger
        chain.drop(tx.txid)
        for _ in range(5):
            await here.sweep()
        assert here.balance == (0, 50_000)
        await servers["c"].stop()
        await here.happens(lambda: not here.watch.attendants["c"].is_up, "away")
        try:
            for _ in range(30):
                await here.sweep(["a", "b"])
            assert [event.txid for event in here.told("tx.dropped")] == [tx.txid]
        finally:
            await servers["c"].start()
