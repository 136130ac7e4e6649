"""Every question of a source, asked over a real socket of servers of both protocol forms."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.toy.chain import FAUCET, ToyChain
from tests.toy.coding import scripthash
from tests.toy.electrum import ToyElectrum
from tests.toy.faults import ToyError
from watcher.bitcoin.headers import header_hash, parse_header
from watcher.bitcoin.merkle import fold
from watcher.bitcoin.types import Outpoint, Txid
from watcher.sources.base import Claim, Misbehaved, NotThere, SourceError, TooBusy, Unavailable
from watcher.sources.health import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import Connect
    from tests.toy.bells import Bells
    from watcher.sources.electrum import ElectrumSource

OURS = b"\x00\x14" + b"\x01" * 20
THEIRS = b"\x00\x14" + b"\x02" * 20
US = scripthash(OURS)


@pytest.fixture(params=["1.4", "1.4.2", "1.6", "1.6 without batches"])
async def any_server(chain: ToyChain, request: pytest.FixtureRequest) -> AsyncIterator[ToyElectrum]:
    protocol, *without = request.param.split(" ", 1)
    async with ToyElectrum(chain, protocol=protocol) as started:
        started.faults.refuses_batches = bool(without)
        yield started


@pytest.fixture
async def any_source(
    any_server: ToyElectrum, bells: Bells, connect: Connect
) -> AsyncIterator[ElectrumSource]:
    async with connect(any_server.url, bells) as connected:
        yield connected


async def test_the_tip_is_the_chains(chain: ToyChain, any_source: ElectrumSource) -> None:
    chain.mine(3)
    tip = await any_source.tip()
    assert tip.block == chain.tip
    assert header_hash(tip.header) == chain.tip.hash


async def test_headers_are_linked_and_end_with_the_chain(chain: ToyChain, any_source: ElectrumSource) -> None:
    headers = await any_source.headers(0, 5_000)
    assert len(headers) == chain.height + 1
    assert all(parse_header(later).previous == header_hash(earlier) for earlier, later in pairwise(headers))
    assert await any_source.headers(chain.height, 5) == headers[-1:]
    assert await any_source.headers(chain.height + 1, 5) == ()
    assert await any_source.headers(3, 2) == headers[3:5]
    assert await any_source.headers(3, 0) == ()


async def test_a_history_tells_what_is_confirmed_and_what_is_not(
    chain: ToyChain, any_source: ElectrumSource
) -> None:
    first = chain.pay(OURS, 50_000)
    chain.mine()
    second = chain.pay(OURS, 60_000)
    child = chain.spend([Outpoint(second, 0)], [(OURS, 59_000)])
    answer = await any_source.histories([US, scripthash(THEIRS)])
    assert answer.histories[US] == (Claim(first, chain.height), Claim(second, None), Claim(child, None))
    assert answer.histories[scripthash(THEIRS)] == ()
    statuses = await any_source.watch([US, scripthash(THEIRS)])
    assert answer.statuses == statuses
    assert statuses[scripthash(THEIRS)] is None


async def test_a_reading_is_framed_by_the_tip_before_it_and_behind_it(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    answer = await source.histories([US])
    assert answer.before.block == (await source.tip()).block == chain.tip

    def mine_meanwhile(_params: list[Any], honest: Any) -> Any:
        server.faults.answers.clear()
        chain.mine()
        return honest

    before = chain.tip
    server.forge("blockchain.scripthash.get_history", mine_meanwhile)
    answer = await source.histories([US])
    assert (answer.before.block, (await source.tip()).block) == (before, chain.tip)


async def test_transactions_and_branches_prove_themselves(
    chain: ToyChain, any_source: ElectrumSource
) -> None:
    paid = [chain.pay(OURS, 10_000 + at) for at in range(5)]
    chain.mine()
    raws = await any_source.transactions(paid)
    assert raws == {txid: chain.transactions[txid].raw for txid in paid}
    branches = await any_source.branches([(txid, chain.height) for txid in paid])
    (header,) = await any_source.headers(chain.height, 1)
    for txid, branch in branches.items():
        assert not isinstance(branch, SourceError)
        assert fold(txid, branch.index, branch.siblings) == parse_header(header).merkle_root


async def test_what_is_not_there_is_said_of_the_one_and_not_of_all(
    chain: ToyChain, any_source: ElectrumSource
) -> None:
    paid = chain.pay(OURS, 10_000)
    nowhere = Txid("ab" * 32)
    raws = await any_source.transactions([paid, nowhere])
    assert raws[paid] == chain.transactions[paid].raw
    assert isinstance(raws[nowhere], NotThere)
    branches = await any_source.branches([(paid, chain.height)])
    assert isinstance(branches[paid], NotThere)


async def test_who_watches_is_told_and_who_forgot_is_not(
    chain: ToyChain, any_server: ToyElectrum, any_source: ElectrumSource, bells: Bells
) -> None:
    watched = [US, scripthash(THEIRS)]
    assert await any_source.watch(watched) == {US: None, scripthash(THEIRS): None}
    assert any_source.health().subscriptions == 2
    chain.pay(OURS, 10_000)
    await bells.until(lambda: bells.scripts == [US])
    await any_source.forget([US])
    assert any_source.health().subscriptions == 1
    chain.pay(OURS, 20_000)
    chain.pay(THEIRS, 30_000)
    await bells.until(lambda: len(bells.scripts) == 2)
    assert bells.scripts == [US, scripthash(THEIRS)]
    assert bells.count("disconnected") == 0


async def test_a_new_block_rings(chain: ToyChain, any_source: ElectrumSource, bells: Bells) -> None:
    chain.mine()
    await bells.until(lambda: bells.count("tip") == 1)
    assert (await any_source.tip()).block == chain.tip


async def test_nothing_asked_for_is_nothing_answered(server: ToyElectrum, source: ElectrumSource) -> None:
    assert await source.watch([]) == {}
    assert await source.transactions([]) == {}
    assert await source.branches([]) == {}
    await source.forget([])
    assert (await source.histories([])).histories == {}
    assert not server.counts["blockchain.scripthash.subscribe"]


async def test_many_scripts_are_asked_for_in_few_batches(server: ToyElectrum, source: ElectrumSource) -> None:
    scripts = [scripthash(number.to_bytes(4, "big")) for number in range(2_000)]
    before = server.batches
    statuses = await source.watch(scripts)
    assert list(statuses) == scripts
    assert set(statuses.values()) == {None}
    assert server.batches - before == 8
    assert source.health().subscriptions == 2_000


async def test_a_server_that_refuses_batches_is_asked_singly_from_then_on(
    chain: ToyChain, server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    server.faults.refuses_batches = True
    async with connect(server.url, bells) as source:
        for _ in range(3):
            assert (await source.tip()).block == chain.tip
        assert server.batches == 1
        assert bells.count("disconnected") == 0


@pytest.mark.parametrize("limit", [345, 100, 20])
async def test_a_limit_on_batches_under_way_is_found_and_kept_and_is_no_fault_of_the_servers(
    server: ToyElectrum, source: ElectrumSource, bells: Bells, limit: int
) -> None:
    server.faults.batch_limit = limit
    scripts = [scripthash(number.to_bytes(4, "big")) for number in range(1_010)]
    assert set((await source.watch(scripts)).values()) == {None}
    # what was in a batch that it took is not asked for again, and batches are still asked in
    assert server.counts["blockchain.scripthash.subscribe"] == len(scripts)
    assert server.batches <= 12 + 2 * len(scripts) / (limit / 3)
    refused = source.health().requests[Outcome.ERROR]
    batches = server.batches
    assert set((await source.watch(scripts)).values()) == {None}
    assert source.health().requests[Outcome.ERROR] == refused
    assert server.batches > batches
    assert bells.log == ["connected"]


async def test_a_server_that_hangs_up_at_batches_is_greeted_without(
    chain: ToyChain, server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    server.faults.hangs_up_at_batches = True
    async with connect(server.url, bells) as source:
        assert (await source.tip()).block == chain.tip
        assert server.connections == 3
        server.disconnect_all()
        await bells.until(lambda: bells.count("connected") == 2)
        assert server.connections == 4
        assert server.batches == 2


async def test_too_large_for_a_batch_is_not_too_large_alone(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    paid = chain.pay(OURS, 10_000)
    server.error_next("blockchain.scripthash.get_history", -32600, "response too large (over 1,000,000 bytes")
    answer = await source.histories([US, scripthash(THEIRS)])
    assert answer.histories[US] == (Claim(paid, None),)
    assert server.counts["blockchain.scripthash.get_history"] == 3


@pytest.mark.parametrize(
    "refusal",
    [
        ToyError({"code": 10001, "message": "history too large"}),
        ToyError({"code": 1, "message": "history too large"}),
        ToyError("Too many history transactions (>500). Contact support to raise limits."),
    ],
)
async def test_a_history_too_large_for_the_server_is_unsupported_there_and_no_other(
    server: ToyElectrum, source: ElectrumSource, refusal: ToyError
) -> None:
    def refuse_ours(params: list[Any], honest: Any) -> Any:
        if params == [US]:
            raise refusal
        return honest

    server.forge("blockchain.scripthash.get_history", refuse_ours)
    answer = await source.histories([US, scripthash(THEIRS)])
    assert isinstance(answer.histories[US], TooBusy)
    assert answer.histories[scripthash(THEIRS)] == ()
    assert US not in answer.statuses


async def test_a_question_that_fails_for_all_is_raised(server: ToyElectrum, source: ElectrumSource) -> None:
    server.error_next("blockchain.scripthash.subscribe", -101, "excessive resource usage")
    with pytest.raises(Unavailable) as caught:
        await source.watch([US])
    assert caught.value.retry_after == 60
    server.error_next("blockchain.headers.subscribe", -102, "server busy - request timed out")
    with pytest.raises(Unavailable):
        await source.tip()


async def test_a_history_beyond_the_tip_is_refused_without_blame(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    server.forge(
        "blockchain.scripthash.get_history",
        lambda _params, _honest: [{"tx_hash": "ab" * 32, "height": chain.height + 1}],
    )
    answer = await source.histories([US])
    assert type(answer.histories[US]) is Unavailable


async def test_a_false_history_is_blamed_and_the_rest_is_read(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    paid = chain.pay(THEIRS, 10_000)

    def lie(params: list[Any], honest: Any) -> Any:
        return honest if params[0] != US else [{"tx_hash": "ab" * 32, "height": -2}]

    server.forge("blockchain.scripthash.get_history", lie)
    answer = await source.histories([US, scripthash(THEIRS)])
    refused = answer.histories[US]
    assert isinstance(refused, Misbehaved)
    assert refused.reason == "history"
    assert answer.histories[scripthash(THEIRS)] == (Claim(paid, None),)


async def test_a_transaction_that_is_no_hex_is_blamed(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    paid = chain.pay(OURS, 10_000)
    server.forge("blockchain.transaction.get", lambda _params, honest: honest + " ")
    answer = (await source.transactions([paid]))[paid]
    assert isinstance(answer, Misbehaved)
    assert answer.reason == "transaction"


async def test_a_server_with_small_pages_of_headers_is_read_to_the_end(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    def page(params: list[Any], honest: Any) -> Any:
        headers = honest["headers"][:10]
        return {"count": len(headers), "headers": headers, "max": 10}

    server.forge("blockchain.block.headers", page)
    assert len(await source.headers(0, 200)) == chain.height + 1


async def test_more_headers_than_asked_for_are_blamed(server: ToyElectrum, source: ElectrumSource) -> None:
    server.forge(
        "blockchain.block.headers", lambda _params, honest: {**honest, "headers": honest["headers"] * 2}
    )
    with pytest.raises(Misbehaved):
        await source.headers(0, 20)


async def test_the_toy_chains_own_verbs_move_coins_as_they_say(chain: ToyChain) -> None:
    paid = chain.pay(OURS, 10_000)
    child = chain.spend([Outpoint(paid, 0)], [(THEIRS, 9_000)])
    replaced = chain.replace(paid, [(OURS, 8_000), (FAUCET, 1_000)])
    assert paid not in chain.mempool
    assert child not in chain.mempool
    chain.mine(txs=[replaced])
    assert sum(chain.unspent(OURS).values()) == 8_000
    old = chain.tip
    chain.reorg(1)
    assert chain.tip.height == old.height + 1
    assert chain.height_of(replaced) is None
    assert replaced in chain.mempool
    chain.reorg(3, keep=[replaced])
    assert chain.height_of(replaced) == chain.height - 3
    assert chain.history(US) == [(replaced, chain.height - 3)]
    chain.drop(chain.pay(THEIRS, 5))
    assert chain.unspent(THEIRS) == {}
