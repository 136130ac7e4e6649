"""What is left to do is done without the next sweep, and what cannot be done does not pile up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.pool.rig import QUICK, TREASURY, electrum, pool
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from tests.toy.faults import error
from tests.toy.keys import Key
from watcher.bitcoin.networks import Network
from watcher.sources.electrum import ElectrumSource
from watcher.sources.esplora import EsploraSource
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import SourceError

SATS = 50_000


async def test_a_first_reading_ends_though_its_two_sources_were_never_up_together(
    chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, SATS)
    chain.mine()
    async with ToyElectrum(chain) as a, ToyElectrum(chain) as b:
        sources = electrum({"a": a, "b": b})
        await b.stop()
        async with pool(tmp_path, sources, [key.script, Key(8).script]) as here:
            one, other = (here.watch.attendants[name] for name in ("a", "b"))
            await here.happens(lambda: len(one.said.read) == 2, "the first has read")
            await a.stop()
            await here.happens(lambda: not one.is_up, "the first is gone")
            await b.start()
            await here.happens(
                lambda: bool(here.told("watch.baselined")) or len(other.said.read) == 2, "the second has read"
            )
            await a.start()
            await here.baselined()
            assert here.balance == (SATS, 0)


async def test_one_that_will_not_answer_for_a_script_does_not_keep_the_others_from_being_heard(
    chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with ToyElectrum(chain) as a, ToyElectrum(chain) as b, ToyElectrum(chain) as c:

        def too_large(_params: list[Any], _honest: Any) -> Any:
            raise error(1, "history too large")

        for method in ("get_history", "subscribe"):
            c.forge(f"blockchain.scripthash.{method}", too_large)
        async with pool(tmp_path, electrum({"a": a, "b": b, "c": c}), [key.script]) as here:
            await here.baselined()
            paid = chain.pay(key.script, SATS)
            await here.happens(lambda: bool(here.told("tx.seen")), "the inflow")
            chain.drop(paid)
            await here.happens_by_sweeping(lambda: bool(here.told("tx.dropped")), "the end of it")
            assert here.balance == (0, 0)


async def test_a_block_while_all_is_asked_does_not_cost_the_word_of_a_source(
    chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, SATS)
    chain.mine()
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [key.script], wanted=1) as here,
    ):
        await here.baselined()

        before = chain.tip

        def with_a_block(_params: list[Any], honest: Any) -> Any:
            del server.faults.answers["blockchain.scripthash.subscribe"]
            chain.mine()
            return honest

        server.forge("blockchain.scripthash.subscribe", with_a_block)
        here.doorbells.sweep()
        await here.happens(lambda: here.watch.tip == chain.tip != before, "the block")
        await here.happens(lambda: here.watch.complete[TREASURY].block == chain.tip, "its word at the block")


async def test_a_script_that_an_explorer_failed_to_answer_for_is_asked_for_again(
    chain: ToyChain, tmp_path: Path
) -> None:
    async with ToyEsplora(chain) as server:
        asked = 0

        async def once_a_bad_gateway(_request: web.Request, honest: web.Response) -> web.Response:
            nonlocal asked
            asked += 1
            return web.Response(status=502) if asked == 3 else honest

        server.bends["scripthash/*/txs"] = once_a_bad_gateway
        source = EsploraSource(
            "x",
            server.url,
            Network.REGTEST,
            clock=time.time,
            draw=lambda: 0.5,
            backoff=QUICK,
            asking=Asking(every=0.2),
        )
        scripts = [Key(7 + i).script for i in range(5)]
        async with pool(tmp_path, [source], scripts, wanted=1) as here:
            await here.baselined()
            assert asked > 5


class Parted(ElectrumSource):
    """Its connection breaks once when its scripts have been asked for, and is there again after it."""

    breaks: Callable[[], Awaitable[None]] | None = None

    async def watch(
        self, scripthashes: Sequence[ScriptHash]
    ) -> Mapping[ScriptHash, str | SourceError | None]:
        told = await super().watch(scripthashes)
        if self.breaks is not None:
            breaks, self.breaks = self.breaks, None
            await breaks()
        return told


async def test_what_was_asked_for_on_another_connection_is_no_word_of_a_block_that_came_since(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    """Of what came meanwhile nothing was told on the old connection, nor asked for on the new one."""
    a = servers["a"]
    source = Parted("a", a.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, backoff=QUICK)
    async with pool(tmp_path, [source, *electrum({"b": servers["b"]})], [key.script]) as here:
        await here.baselined()
        attendant = here.watch.attendants["a"]

        async def breaks() -> None:
            before = a.connections
            a.disconnect_all()
            await here.happens(lambda: a.connections > before and attendant.is_up, "it is back")
            a.forge("blockchain.scripthash.subscribe", lambda _params, status: a.stall() or status)
            chain.pay(key.script, SATS)
            chain.mine()
            await here.happens(lambda: here.watch.tip == chain.tip, "the block, from the other")

        source.breaks = breaks
        here.doorbells.sweep()
        await here.happens(lambda: a.faults.stalled, "all is asked for again")
        assert attendant.complete[TREASURY].block != chain.tip
        a.faults.answers.clear()
        a.faults.stalled = False
        a.disconnect_all()
        await here.happens(lambda: here.balance == (SATS, 0), "the payment")
        await here.happens(lambda: attendant.complete[TREASURY].block == chain.tip, "its word")


async def test_looking_again_does_not_pile_up(chain: ToyChain, key: Key, tmp_path: Path) -> None:
    """While one script cannot be settled, what rings for another sets no further clocks."""
    other = Key(8)
    chain.mine(100)
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [key.script, other.script], wanted=1) as here,
    ):
        await here.baselined()
        never_given = chain.pay(key.script, SATS)

        def without_it(params: list[Any], honest: Any) -> Any:
            if params[0] == never_given:
                raise error(2, "daemon error: No such mempool or blockchain transaction")
            return honest

        server.forge("blockchain.transaction.get", without_it)
        for _ in range(30):
            chain.pay(other.script, SATS)
            await asyncio.sleep(0.03)
        await here.happens(lambda: len(here.told("tx.seen")) == 30, "the other's inflows")
        before = here.watch.rounds
        await asyncio.sleep(3)
        assert 1 <= here.watch.rounds - before <= 5
