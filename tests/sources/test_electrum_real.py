"""The source at a real ElectrumX, of a version that speaks 1.4 only and of one that speaks up to 1.6."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.stack.chain import Chain
from tests.stack.electrumx import ElectrumX
from watcher.bitcoin.headers import header_hash, parse_header
from watcher.bitcoin.merkle import check_branch
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import ScriptHash, Txid
from watcher.sources.base import Claim, NotThere, SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import Connect
    from tests.stack.bitcoind import Node
    from tests.toy.bells import Bells
    from watcher.sources.electrum import ElectrumSource


@pytest.fixture
async def chain(node: Node) -> Chain:
    return await Chain.open(node)


@pytest.fixture(params=["1.18.0", "1.20.0"])
async def electrumx(node: Node, chain: Chain, request: pytest.FixtureRequest) -> AsyncIterator[ElectrumX]:
    async with ElectrumX(node, version=request.param) as started:
        await started.synced()
        yield started


@pytest.fixture
async def source(electrumx: ElectrumX, bells: Bells, connect: Connect) -> AsyncIterator[ElectrumSource]:
    async with connect(electrumx.url, bells) as connected:
        yield connected


async def test_a_coin_is_followed_from_the_bell_to_its_proof(
    chain: Chain, electrumx: ElectrumX, source: ElectrumSource, bells: Bells
) -> None:
    address = await chain.new_address()
    script = ScriptHash(await electrumx.scripthash(address))
    assert await source.watch([script]) == {script: None}

    paid = Txid(await chain.fund(address, 1_000_000))
    await bells.until(lambda: script in bells.scripts)
    answer = await source.histories([script])
    assert answer.histories[script] == (Claim(paid, None),)
    assert answer.statuses == await source.watch([script])

    bells.scripts.clear()
    await chain.mine()
    await bells.until(lambda: script in bells.scripts)
    await electrumx.synced()
    tip = await source.tip()
    assert (tip.block.height, tip.block.hash) == await chain.tip()
    answer = await source.histories([script])
    assert answer.before.block == (await source.tip()).block == tip.block
    assert answer.histories[script] == (Claim(paid, tip.block.height),)
    raw = (await source.transactions([paid]))[paid]
    branch = (await source.branches([(paid, tip.block.height)]))[paid]
    assert isinstance(raw, bytes)
    assert not isinstance(branch, SourceError)
    check_branch(parse_transaction(raw), branch.index, branch.siblings, parse_header(tip.header).merkle_root)
    assert bells.count("disconnected") == 0


async def test_what_follows_a_header_is_not_held_back_behind_it(
    chain: Chain, electrumx: ElectrumX, source: ElectrumSource, bells: Bells
) -> None:
    address = await chain.new_address()
    await source.watch([ScriptHash(await electrumx.scripthash(address))])
    lags = []
    for _ in range(5):  # a header of an earlier block may be told late, or this process stand still
        rung = bells.count("script")
        await chain.fund(address, 100_000)
        await bells.until(partial(_have_rung, bells, rung + 1))
        begun = len(bells.log)
        await chain.mine()
        await bells.until(partial(_follows, bells, begun))
        header = bells.log.index("tip", begun)
        lags.append(bells.times[bells.log.index("script", header)] - bells.times[header])
        if lags[-1] < 0.8:  # held back, it would be 1.0
            return
    pytest.fail(f"each time the clock alone has brought it: {lags}")


def _have_rung(bells: Bells, scripts: int) -> bool:
    return bells.count("script") >= scripts


def _follows(bells: Bells, begun: int) -> bool:
    """A script has rung after a header since then."""
    since = bells.log[begun:]
    return "tip" in since and "script" in since[since.index("tip") :]


async def test_questions_take_milliseconds_and_not_seconds(chain: Chain, source: ElectrumSource) -> None:
    height, tip = await chain.tip()
    scripts = [ScriptHash(f"{number:064x}") for number in range(3)]
    await source.tip()
    async with asyncio.timeout(60):  # held back for a second each they would take minutes
        for _ in range(60):
            await source.tip()
            await source.histories(scripts)
            headers = await source.headers(height, 1)
    assert header_hash(headers[0]) == tip


async def test_what_the_server_does_not_have_is_not_there(source: ElectrumSource) -> None:
    nowhere = Txid("ab" * 32)
    assert isinstance((await source.transactions([nowhere]))[nowhere], NotThere)
    assert isinstance((await source.branches([(nowhere, 5)]))[nowhere], NotThere)
    assert await source.headers(10_000_000, 5) == ()


async def test_thousands_of_scripts_are_watched_and_asked_again_after_a_restart(
    electrumx: ElectrumX, source: ElectrumSource, bells: Bells
) -> None:
    scripts = [ScriptHash(f"{number:064x}") for number in range(5_000)]
    assert set((await source.watch(scripts)).values()) == {None}
    await electrumx.restart()
    await bells.until(lambda: bells.count("connected") > 1, within=180)
    assert source.health().subscriptions == 0
    assert len(await source.watch(scripts)) == 5_000
    await source.forget(scripts[:10])
    assert source.health().subscriptions == 4_990
