"""Reaching an explorer: over TLS, how it names scripts, and what is told of its health."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.sources.explorers import OFTEN, SELDOM, connected
from tests.sources.test_electrum_tls import AUTHORITY, FINGERPRINT, server_context
from tests.toy.chain import ToyChain
from tests.toy.coding import scripthash
from tests.toy.esplora import ToyEsplora
from watcher.sources.base import Claim, Misbehaved, Unavailable
from watcher.sources.dial import Authorities, Pin
from watcher.sources.health import Outcome
from watcher.sources.mempool import MempoolSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from tests.toy.bells import Bells

OURS = b"\x00\x14" + b"\x01" * 20
US = scripthash(OURS)


@pytest.fixture
async def server(chain: ToyChain) -> AsyncIterator[ToyEsplora]:
    async with ToyEsplora(chain) as started:
        yield started


async def test_health_is_told_like_that_of_any_source(
    chain: ToyChain, server: ToyEsplora, bells: Bells
) -> None:
    async with connected(server.url, bells, kind=MempoolSource) as source:
        assert (source.host, source.port) == ("127.0.0.1", server.port)
        await source.watch([US])
        health = source.health()
        assert (health.name, health.up, health.tip, health.subscriptions) == ("toy", True, chain.tip, 1)
        assert health.protocol == "mempool"
        assert health.software is not None
        assert health.software.startswith("Python/")
        assert health.requests[Outcome.OK] == server.asked
        assert health.connected_since is not None
        assert health.certificate_not_after is None


async def test_the_tip_is_one_question_while_it_stays(
    chain: ToyChain, server: ToyEsplora, bells: Bells
) -> None:
    async with connected(server.url, bells) as source:
        server.counts.clear()
        for _ in range(3):
            await source.tip()
        assert server.counts == {"blocks/tip/hash": 3}
        chain.mine()
        await source.tip()
        assert server.counts["block/*"] == 1


async def test_names_are_learnt_once(chain: ToyChain, bells: Bells) -> None:
    async with (
        ToyEsplora(chain, reversed_names=True) as server,
        connected(server.url, bells, asking=OFTEN) as source,
    ):
        paid = chain.pay(OURS, 5_000)
        assert (await source.histories([US])).histories[US] == (Claim(paid, None),)
        server.answer("*", status=502)
        await bells.until(lambda: bells.count("disconnected") > 0)
        server.bends.clear()
        server.counts.clear()
        await bells.until(lambda: bells.count("connected") > 1)
        assert server.counts["block/*/txids"] == 0


async def test_a_chain_without_a_second_block_has_no_names_to_learn(bells: Bells) -> None:
    chain = ToyChain(blocks=0)
    async with ToyEsplora(chain) as server, connected(server.url, bells) as source:
        assert (await source.tip()).block == chain.tip
        assert len(await source.headers(0, 10)) == 1


@pytest.mark.parametrize("tls", [Authorities(str(AUTHORITY)), Pin(FINGERPRINT)])
async def test_a_certificate_is_believed(chain: ToyChain, bells: Bells, tls: Authorities | Pin) -> None:
    async with (
        ToyEsplora(chain, tls=server_context("server.pem")) as server,
        connected(server.url, bells, tls=tls) as source,
    ):
        assert (await source.tip()).block == chain.tip
        ends = source.health().certificate_not_after
        assert ends is not None
        assert ends > 4_000_000_000


@pytest.mark.parametrize(
    ("tls", "kind"), [(Authorities(), Unavailable), (Pin(bytes(32)), Misbehaved)], ids=["unknown", "other"]
)
async def test_a_certificate_is_not_believed(
    chain: ToyChain, bells: Bells, tls: Authorities | Pin, kind: type[Exception]
) -> None:
    async with ToyEsplora(chain, tls=server_context("server.pem")) as server:
        async with connected(server.url, bells, tls=tls, up=False) as source:
            await bells.until(lambda: len(bells.ends) > 0)
            assert isinstance(bells.ends[0], kind)
            assert not source.health().up
        assert server.asked == 0


async def test_no_more_run_at_once_than_allowed(chain: ToyChain, server: ToyEsplora, bells: Bells) -> None:
    paid = [chain.pay(OURS, 1_000 + at) for at in range(9)]
    running = most = 0
    together = asyncio.Event()

    async def count(_request: web.Request, honest: web.Response) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            together.set()
        await together.wait()
        running -= 1
        return honest

    async with connected(server.url, bells, asking=replace(SELDOM, at_once=3)) as source:
        server.bends["tx/*/hex"] = count
        assert len(await source.transactions(paid)) == 9
    assert most == 3
