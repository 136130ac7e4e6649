"""One suite over every kind of source: the same chain, the same questions, the same answers."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.sources.explorers import OFTEN, SELDOM, connected
from tests.toy.bells import Bells
from tests.toy.chain import MATURITY
from tests.toy.coding import scripthash
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.headers import header_hash, parse_header
from watcher.bitcoin.merkle import fold
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Outpoint, Txid
from watcher.sources.base import Claim, NotThere, SourceError, Unavailable
from watcher.sources.esplora import EsploraSource
from watcher.sources.mempool import MempoolSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import Connect
    from tests.toy.chain import ToyChain
    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Source
    from watcher.sources.electrum import ElectrumSource

    AnySource = ElectrumSource | EsploraSource

OURS = b"\x00\x14" + b"\x01" * 20
THEIRS = b"\x00\x14" + b"\x02" * 20
US = scripthash(OURS)
THEM = scripthash(THEIRS)

EXPLORERS: dict[str, tuple[type[EsploraSource], dict[str, Any]]] = {
    "esplora": (EsploraSource, {}),
    "mempool": (MempoolSource, {"blocks_a_page": 15, "txs_a_page": 10, "html_errors": True}),
    "mempool of one's own": (MempoolSource, {"blocks_a_page": 15, "reversed_names": True}),
}
KINDS = ("electrum", *EXPLORERS)


class Server:
    """A server of some kind, a source at it, and what rang."""

    def __init__(self, source: AnySource, server: ToyElectrum | ToyEsplora, bells: Bells) -> None:
        self.source = source
        self.server = server
        self.bells = bells


async def serve(chain: ToyChain, kind: str, connect: Connect, stack: AsyncExitStack) -> Server:
    bells = Bells()
    if kind == "electrum":
        electrum = await stack.enter_async_context(ToyElectrum(chain))
        return Server(await stack.enter_async_context(connect(electrum.url, bells)), electrum, bells)
    source, manner = EXPLORERS[kind]
    explorer = await stack.enter_async_context(ToyEsplora(chain, **manner))
    running = connected(explorer.url, bells, kind=source, asking=OFTEN)
    return Server(await stack.enter_async_context(running), explorer, bells)


@pytest.fixture(params=KINDS)
async def any_kind(
    chain: ToyChain, connect: Connect, request: pytest.FixtureRequest
) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        yield await serve(chain, request.param, connect, stack)


@pytest.fixture
async def all_kinds(chain: ToyChain, connect: Connect) -> AsyncIterator[dict[str, Source]]:
    async with AsyncExitStack() as stack:
        yield {kind: (await serve(chain, kind, connect, stack)).source for kind in KINDS}


def live(chain: ToyChain, seed: int) -> list[ScriptHash]:
    """Some weeks of two scripts, blocks with several of their transactions and a reorganisation among it."""
    draw = random.Random(seed)
    chain.mine(MATURITY)
    for _ in range(12):
        for _ in range(draw.randrange(6)):
            chain.pay(draw.choice([OURS, THEIRS]), draw.randrange(1_000, 100_000))
        for coin, sats in list(chain.unspent(OURS).items())[: draw.randrange(2)]:
            chain.spend([coin], [(THEIRS, sats // 2), (OURS, sats // 3)])
        chain.mine(draw.randrange(3))
        if draw.random() < 0.2:
            chain.reorg(2, keep=list(chain.mempool)[:1])
    chain.pay(OURS, 5_000)
    parent = chain.pay(OURS, 6_000)
    chain.spend([Outpoint(parent, 0)], [(OURS, 5_500)])
    return [US, THEM, scripthash(b"\x51\x51")]


@pytest.mark.parametrize("seed", range(4))
async def test_all_kinds_give_the_same_answers(
    chain: ToyChain, all_kinds: dict[str, Source], seed: int
) -> None:
    scripts = live(chain, seed)
    txids = [txid for script in scripts for txid, _height in chain.history(script)]
    where = [(txid, height) for script in scripts for txid, height in chain.history(script) if height > 0]
    asked = {}
    for kind, source in all_kinds.items():
        asked[kind] = (
            await source.tip(),
            await source.headers(1, chain.height),
            await source.watch(scripts),
            await source.histories(scripts),
            await source.transactions(txids),
            await source.branches(where),
        )
    first = asked["electrum"]
    assert first[3].histories[US], "the story must be one"
    assert {kind for kind, answers in asked.items() if answers != first} == set()


async def test_the_tip_and_headers_are_the_chains(chain: ToyChain, any_kind: Server) -> None:
    chain.mine(3)
    tip = await any_kind.source.tip()
    assert (tip.block, header_hash(tip.header)) == (chain.tip, chain.tip.hash)
    headers = await any_kind.source.headers(0, 5_000)
    assert len(headers) == chain.height + 1
    assert all(parse_header(later).previous == header_hash(earlier) for earlier, later in pairwise(headers))
    assert await any_kind.source.headers(chain.height, 5) == headers[-1:]
    assert await any_kind.source.headers(chain.height + 1, 5) == ()
    assert await any_kind.source.headers(3, 2) == headers[3:5]
    assert await any_kind.source.headers(3, 0) == ()


async def test_a_history_and_its_status_follow_the_chain(chain: ToyChain, any_kind: Server) -> None:
    seen = set()
    source = any_kind.source
    seen.add((await source.watch([US]))[US])
    paid = chain.pay(OURS, 50_000)
    seen.add((await source.watch([US]))[US])
    assert (await source.histories([US])).histories[US] == (Claim(paid, None),)
    other = chain.replace(paid, [(OURS, 40_000)])
    seen.add((await source.watch([US]))[US])
    assert (await source.histories([US])).histories[US] == (Claim(other, None),)
    chain.mine()
    seen.add((await source.watch([US]))[US])
    assert (await source.histories([US])).histories[US] == (Claim(other, chain.height),)
    chain.reorg(1)
    seen.add((await source.watch([US]))[US])
    assert (await source.histories([US])).histories[US] == (Claim(other, None),)
    assert len(seen) == 4  # none, paid, other (twice the same), confirmed
    assert None in seen


async def test_branches_prove_and_what_is_not_there_is_said(chain: ToyChain, any_kind: Server) -> None:
    paid = [chain.pay(OURS, 10_000 + at) for at in range(5)]
    chain.mine()
    pending, nowhere = chain.pay(OURS, 9_000), Txid("ab" * 32)
    source = any_kind.source
    raws = await source.transactions([*paid, nowhere])
    assert {txid: raws[txid] for txid in paid} == {txid: chain.transactions[txid].raw for txid in paid}
    assert isinstance(raws[nowhere], NotThere)
    branches = await source.branches([*((txid, chain.height) for txid in paid), (pending, chain.height)])
    (header,) = await source.headers(chain.height, 1)
    for txid in paid:
        branch = branches[txid]
        assert not isinstance(branch, SourceError)
        assert fold(txid, branch.index, branch.siblings) == parse_header(header).merkle_root
    assert isinstance(branches[pending], NotThere)
    elsewhere = await source.branches([(paid[0], chain.height), (paid[1], chain.height - 1)])
    assert isinstance(elsewhere[paid[1]], NotThere)


async def test_a_new_block_rings_and_a_reading_is_framed(chain: ToyChain, any_kind: Server) -> None:
    chain.mine()
    await any_kind.bells.until(lambda: any_kind.bells.count("tip") > 0)
    told = await any_kind.source.histories([US, THEM])
    assert told.before.block == (await any_kind.source.tip()).block == chain.tip
    assert any_kind.bells.sources == {"toy"}


async def test_nothing_asked_is_nothing_answered(any_kind: Server) -> None:
    source = any_kind.source
    assert await source.watch([]) == {}
    assert await source.transactions([]) == {}
    assert await source.branches([]) == {}
    assert (await source.histories([])).histories == {}


async def test_watching_counts_until_it_is_forgotten(any_kind: Server) -> None:
    source = any_kind.source
    await source.watch([US, THEM])
    assert source.health().subscriptions == 2
    await source.forget([US])
    health = source.health()
    assert (health.subscriptions, health.up, health.tip) == (1, True, any_kind.server.chain.tip)
    assert health.last_success is not None
    assert sum(health.requests.values()) == health.latency_counts[-1] > 0


async def test_an_omitting_server_is_told_as_it_omits(chain: ToyChain, any_kind: Server) -> None:
    kept, hidden = chain.pay(OURS, 10_000), chain.pay(OURS, 20_000)
    chain.mine()
    any_kind.server.faults.omitted.add(hidden)
    told = await any_kind.source.histories([US])
    assert told.histories[US] == (Claim(kept, chain.height),)
    assert isinstance((await any_kind.source.transactions([kept, hidden]))[hidden], NotThere)


@pytest.mark.parametrize("kind", KINDS)
async def test_another_network_is_refused(chain: ToyChain, connect: Connect, kind: str) -> None:
    bells = Bells()
    async with AsyncExitStack() as stack:
        source: AnySource
        if kind == "electrum":
            electrum = await stack.enter_async_context(ToyElectrum(chain))
            running = connect(electrum.url, bells, network=Network.MAINNET, up=False)
            source = await stack.enter_async_context(running)
        else:
            explorer = await stack.enter_async_context(ToyEsplora(chain, **EXPLORERS[kind][1]))
            asked = connected(
                explorer.url,
                bells,
                kind=EXPLORERS[kind][0],
                network=Network.MAINNET,
                asking=SELDOM,
                up=False,
            )
            source = await stack.enter_async_context(asked)
        await bells.until(lambda: len(bells.ends) > 0)
        assert bells.ends[0].reason == "wrong_network"
        assert not source.health().up
        with pytest.raises(Unavailable):
            await source.tip()
