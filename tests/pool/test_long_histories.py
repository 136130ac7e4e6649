"""Histories that are taken up in slices: what is whole, what may go on meanwhile, and what a lie costs."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.busy import PAID, busy_chain
from tests.pool.rig import TREASURY, electrum, pool
from tests.toy.chain import FAUCET, FEE, ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from tests.toy.faults import error
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Outpoint
from watcher.core.known import Flow
from watcher.ledger.verify import verify
from watcher.observe.sights import MAX_PARENTS
from watcher.observe.slices import A_SLICE
from watcher.sources.base import LongHistory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pool.rig import Pool

HISTORY = "blockchain.scripthash.get_history"
SUBSCRIBE = "blockchain.scripthash.subscribe"
TRANSACTION = "blockchain.transaction.get"
BRANCH = "blockchain.transaction.get_merkle"
# Of a witness version still to come, as in `tests.daemon.places`: the toy chain signs nothing.
OURS, OTHERS, THIRD = (b"\x52\x20" + bytes([n] * 32) for n in (1, 2, 3))
MANY = 3 * A_SLICE


def refused_for(txid: str) -> Any:
    def answer(params: list[Any], honest: Any) -> Any:
        if params[0] == txid:
            raise error(1, "not now")
        return honest

    return answer


async def kept(here: Pool) -> int:
    """How many transactions the ledger has; it adds up at every moment."""
    found = await here.writer.run(verify)
    assert found.failures == []
    return found.proven + found.unproven


async def test_what_was_taken_up_before_it_ended_is_not_fetched_again_and_counts_with_the_rest(
    tmp_path: Path,
) -> None:
    async with ToyElectrum(chain := busy_chain(OURS, MANY)) as server:
        last, _ = chain.history(scripthash(OURS))[-1]
        server.forge(TRANSACTION, refused_for(last))
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.happens(
                lambda: server.counts[HISTORY] > 1, "the slices before the last, and a failure"
            )
            before = await kept(here)
            assert A_SLICE <= before < MANY
            assert here.events == []

        server.faults.answers.clear()
        server.counts.clear()
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.baselined()
            assert here.balance == (MANY * PAID, 0)
            assert await kept(here) == MANY
            assert server.counts[TRANSACTION] == MANY - before
            assert [event.type for event in here.events] == ["watch.baselined"]
            assert not here.watch.listing.counted  # what is read is not kept in mind


async def test_what_comes_to_another_script_is_told_between_two_slices(tmp_path: Path) -> None:
    async with (
        ToyElectrum(chain := busy_chain(OURS, MANY)) as server,
        pool(tmp_path, electrum({"a": server}), [OTHERS], wanted=1) as here,
    ):
        await here.baselined()
        last, _ = chain.history(scripthash(OURS))[-1]
        server.forge(TRANSACTION, refused_for(last))
        await here.relisted({TREASURY: [OTHERS, OURS]})
        await here.happens(lambda: server.counts[BRANCH] > 0, "the first slice")
        chain.pay(OTHERS, 1_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "an alarm meanwhile")
        assert len(here.told("watch.baselined")) == 1
        server.faults.answers.clear()

        await here.happens(lambda: len(here.told("watch.baselined")) == 2, "the long history")
        assert here.balance == (MANY * PAID, 1_000)


async def test_what_was_never_read_has_its_turn_while_something_is_missing(tmp_path: Path) -> None:
    chain = ToyChain()
    chain.mine(1, [chain.pay(OURS, 500)])
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [OTHERS], wanted=1, dropped_after_ms=3_600_000) as here,
    ):
        await here.baselined()
        gone = chain.pay(OTHERS, 1_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow")
        chain.drop(gone)  # for an hour its script is read again with each ring
        await here.relisted({TREASURY: [OTHERS, OURS]})
        await here.happens(lambda: len(here.told("watch.baselined")) == 2, "the first reading of the other")
        assert here.balance == (500, 1_000)


async def test_a_script_that_leaves_the_list_amid_its_slices_accuses_nobody(tmp_path: Path) -> None:
    async with (
        ToyElectrum(chain := busy_chain(OURS, MANY)) as one,
        ToyElectrum(chain) as two,
        pool(tmp_path, electrum({"one": one, "two": two}), [OTHERS], wanted=2) as here,
    ):
        await here.baselined()
        await here.relisted({TREASURY: [OTHERS, OURS]})
        await here.happens(lambda: one.counts[BRANCH] + two.counts[BRANCH] > 0, "the first slice")
        await here.relisted({TREASURY: [OTHERS]})
        await here.happens(lambda: here.watch.idle and not here.watch.waiting, "the end of it")
        assert not here.watch.conduct.strikes


async def test_a_spend_of_what_the_ledger_had_before_the_script_was_watched_is_no_lie(tmp_path: Path) -> None:
    """All coins of the new script are of transactions that the ledger has for another one."""
    chain = ToyChain()
    async with ToyElectrum(chain) as server:
        many = chain.know(_both(chain, MANY))
        chain.mine(1, [many])
        async with pool(tmp_path, electrum({"a": server}), [OTHERS], wanted=1) as here:
            await here.baselined()
            out = [chain.know(Tx((Outpoint(many, vout),), ((b"\x51", PAID),))) for vout in range(1, MANY + 1)]
            for at in range(0, MANY, 1_000):
                chain.mine(1, out[at : at + 1_000])
            await here.relisted({TREASURY: [OTHERS, OURS]})
            await here.happens(lambda: len(here.told("watch.baselined")) == 2, "the long history")
            assert not here.watch.conduct.strikes
            assert here.balance == (PAID, 0)


def _both(chain: ToyChain, count: int) -> Tx:
    """One output to the script that is watched first, and so many to the other."""
    (coin,) = [coin for coin in chain.unspent(FAUCET) if chain.height_of(coin.txid) == 2]
    return Tx((coin,), ((OTHERS, PAID), *((OURS, PAID + FEE),) * count))


async def test_strangers_in_a_long_history_are_refused_with_their_first_slice(tmp_path: Path) -> None:
    chain = busy_chain(OTHERS, MANY)
    async with ToyElectrum(chain) as server:
        theirs = [{"tx_hash": txid, "height": height} for txid, height in chain.history(scripthash(OTHERS))]
        server.forge(HISTORY, lambda _params, _honest: theirs)
        chain.pay(OURS, PAID)
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.happens(lambda: here.watch.conduct.strikes["a", "history"] > 0, "a strike")
            assert server.counts[TRANSACTION] < MANY
            assert await kept(here) == 0


async def test_a_long_history_of_nothing_is_refused_with_its_first_slice(tmp_path: Path) -> None:
    chain = ToyChain()
    invented = [{"tx_hash": f"{at:064x}", "height": 1 + at // 1_000} for at in range(MANY)]
    async with ToyElectrum(chain) as server:
        server.forge(HISTORY, lambda _params, _honest: invented)
        chain.pay(OURS, PAID)
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.happens(lambda: here.watch.conduct.strikes["a", "history"] > 0, "a strike")
            assert server.counts[TRANSACTION] < MANY
            assert server.counts[BRANCH] == 0


async def test_a_long_history_of_nothing_in_no_block_is_refused_with_its_first_slice(tmp_path: Path) -> None:
    chain = ToyChain()
    invented = [{"tx_hash": f"{at:064x}", "height": 0} for at in range(MANY)]
    async with ToyElectrum(chain) as server:
        server.forge(HISTORY, lambda _params, _honest: invented)
        chain.pay(OURS, PAID)
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.happens(lambda: here.watch.conduct.strikes["a", "history"] > 0, "a strike")
            assert server.counts[TRANSACTION] <= A_SLICE


async def test_a_long_history_in_no_block_is_taken_up_in_slices_and_told_once_enough_show_it(
    tmp_path: Path,
) -> None:
    chain = ToyChain()
    many = chain.know(_both(chain, MANY))
    chain.mine(1, [many])
    async with (
        ToyElectrum(chain) as one,
        ToyElectrum(chain) as two,
        pool(tmp_path, electrum({"one": one, "two": two}), [OTHERS], wanted=2) as here,
    ):
        await here.baselined()
        before = one.counts[TRANSACTION]
        coins = [Outpoint(many, vout) for vout in range(1, MANY + 1)]
        for txid in [chain.know(Tx((coin,), ((OTHERS, PAID),))) for coin in coins]:
            chain.mempool[txid] = None
        await here.happens_by_sweeping(lambda: len(here.told("tx.seen")) == MANY, "all of it")
        assert here.balance == (PAID, MANY * PAID)
        assert not here.watch.conduct.strikes
        # each once, and what it spends
        assert one.counts[TRANSACTION] - before <= MANY + len(coins) // A_SLICE + 1
        assert here.watch.candidates == []


async def test_what_is_gone_for_a_moment_amid_slices_makes_nobody_a_liar(tmp_path: Path) -> None:
    chain = busy_chain(OURS, MANY)
    paid = next(txid for txid, _ in chain.history(scripthash(OURS)))
    chain.mine(1, [chain.know(Tx((Outpoint(paid, 0),), ((b"\x51", PAID),)))])
    async with ToyElectrum(chain) as server:
        missed: list[str] = []

        def late(params: list[Any], honest: Any) -> Any:
            if params[0] == paid and not missed:
                missed.append(paid)
                raise error(2, "daemon error: DaemonError({'code': -5, 'message': 'No such mempool or ...'})")
            return honest

        server.forge(TRANSACTION, late)
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.baselined()
            assert here.balance == ((MANY - 1) * PAID, 0)
            assert missed
            assert not here.watch.conduct.strikes


@pytest.mark.parametrize("many", [5, MANY])
async def test_what_spends_a_coin_of_ours_that_was_not_read_yet_waits_for_it(
    tmp_path: Path, many: int
) -> None:
    chain = busy_chain(OURS, many)
    chain.mine(1, [coin := chain.pay(THIRD, 5_000)])
    async with ToyElectrum(chain) as server:
        third = scripthash(THIRD)
        first, _ = chain.history(scripthash(OURS))[0]
        server.forge(TRANSACTION, refused_for(first))
        server.forge(SUBSCRIBE, refused_for(third))  # and is asked for again later
        async with pool(tmp_path, electrum({"a": server}), [OTHERS], wanted=1) as here:
            await here.baselined()
            await here.relisted({TREASURY: [OTHERS, OURS, THIRD]})
            # what comes now has come before it is connected to again
            await here.happens(lambda: here.watch.attendants["a"].rests, "a failure")
            chain.mine(1, [chain.spend([Outpoint(coin, 0)], [(OURS, 4_000)])])
            server.faults.answers.pop(TRANSACTION)
            await here.happens(lambda: bool(here.told("tx.confirmed")), "what came meanwhile")
            assert [event.flow for event in here.told("tx.confirmed")] == [Flow.INTERNAL]


@pytest.mark.parametrize("knows_another_coin", [False, True])
async def test_what_spends_many_coins_waits_for_the_one_of_ours_that_comes_in_a_later_slice(
    tmp_path: Path, *, knows_another_coin: bool
) -> None:
    """More parents than are brought: that one of them pays us is known when it has been read itself."""
    chain = ToyChain()
    coins = iter(chain.unspent(FAUCET))
    outputs = ((FAUCET, PAID + FEE),) * (MANY + 1) + ((OURS, 7_000),)
    fan = chain.know(Tx((next(coins),), outputs))
    strangers = [chain.know(Tx((next(coins),), ((FAUCET, 1_000),))) for _ in range(MAX_PARENTS + 1)]
    chain.mine(txs=[fan, *strangers])
    paid = [chain.know(Tx((Outpoint(fan, vout),), ((OURS, PAID),))) for vout in range(MANY)]
    parent = chain.know(Tx((Outpoint(fan, MANY),), ((OURS, PAID + 50),)))
    spent = [Outpoint(parent, 0), *(Outpoint(txid, 0) for txid in strangers)]
    spent += [Outpoint(fan, MANY + 1)] if knows_another_coin else []
    child = chain.know(Tx(tuple(spent), ((b"\x51", 500),)))
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here,
    ):
        await here.baselined()
        for txid in (child, *paid, parent):
            chain.mempool[txid] = None
        await here.sweep()
        left = 0 if knows_another_coin else 7_000
        await here.happens(lambda: sum(here.balance) == MANY * PAID + left, "all of it")
        assert here.watch.conduct.strikes == {}


async def test_a_long_history_that_waits_for_others_is_not_gone_through_at_every_ring(tmp_path: Path) -> None:
    chain = busy_chain(OURS, MANY)
    statements: list[str] = []
    async with ToyElectrum(chain) as server, ToyElectrum(chain) as away:
        await away.stop()
        async with pool(tmp_path, electrum({"a": server, "away": away}), [OURS], wanted=2) as here:
            await here.happens(lambda: here.watch.idle and bool(here.watch.listing.counted), "all slices")
            rounds = here.watch.rounds
            here.connection.set_trace_callback(statements.append)
            chain.pay(OURS, 5_000)
            await here.happens(lambda: here.watch.rounds > rounds and here.watch.idle, "the ring's round")
            here.connection.set_trace_callback(None)
            assert len(here.watch.candidates) == 1
            await away.start()
            await here.baselined()
            assert sum(here.balance) == MANY * PAID + 5_000
    looks = MANY // A_SLICE + 1  # that is how many it takes to find the one line that is news
    assert statements.count("BEGIN IMMEDIATE") < looks + 8


async def test_a_long_past_that_the_ledger_has_already_is_counted_slice_by_slice(tmp_path: Path) -> None:
    async with (
        ToyElectrum(busy_chain(OURS, 2 * MANY)) as server,
        pool(tmp_path, electrum({"a": server}), [OURS], wanted=1, trusted=["a"]) as here,
    ):
        await here.baselined()
        await here.relisted({TREASURY: [OTHERS]})
        await here.happens(lambda: len(here.told("watch.baselined")) == 2, "the list without it")
        server.counts.clear()
        tracemalloc.start()
        try:
            await here.relisted({TREASURY: [OTHERS, OURS]})
            await here.happens(lambda: len(here.told("watch.baselined")) == 3, "the list with it again")
            _, highest = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert server.counts[TRANSACTION] == 0
        assert highest < 40_000_000  # all at once takes twice that


async def test_what_a_failed_reading_held_is_freed_at_once(tmp_path: Path) -> None:
    """An error is held by the frames it was raised in, and holds them: meanwhile nobody collects."""

    def held() -> int:
        return sum(isinstance(one, LongHistory) for one in gc.get_objects())

    chain = busy_chain(OURS, A_SLICE)
    async with ToyElectrum(chain) as server:
        last, _ = chain.history(scripthash(OURS))[-1]
        server.forge(TRANSACTION, refused_for(last))
        gc.collect()
        gc.disable()
        try:
            async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
                await here.happens(lambda: server.counts[HISTORY] > 1, "a failure")
                await here.happens(lambda: here.watch.attendants["a"].rests, "another")
                assert held() == 0
        finally:
            gc.enable()


async def test_what_no_slice_could_prove_is_not_taken_up_at_once_instead(tmp_path: Path) -> None:
    async with ToyElectrum(busy_chain(OURS, MANY)) as server:
        asked: list[int] = []

        def history(_params: list[Any], honest: Any) -> Any:
            asked.append(server.counts[TRANSACTION])
            return honest

        def refuse(_params: list[Any], _honest: Any) -> Any:
            raise error(1, "tx not in block")

        server.forge(HISTORY, history)
        server.forge(BRANCH, refuse)
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.happens(lambda: len(asked) > 1, "a second reading")
            assert asked[0] == 0
            assert asked[1] < MANY  # broken off
            assert await kept(here) == 0
            assert here.events == []


async def test_no_block_has_room_for_a_long_history(tmp_path: Path) -> None:
    chain = ToyChain()
    invented = [{"tx_hash": f"{at:064x}", "height": 1} for at in range(20_000)]
    async with ToyElectrum(chain) as server:
        server.forge(HISTORY, lambda _params, _honest: invented)
        chain.pay(OURS, PAID)
        async with pool(tmp_path, electrum({"a": server}), [OURS], wanted=1) as here:
            await here.happens(lambda: here.watch.conduct.strikes["a", "history"] > 0, "a strike")
            assert server.counts[TRANSACTION] == 0
