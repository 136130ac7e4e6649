"""A transaction is told after the coin of ours that it spends: else an outflow is an inflow of its change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.rig import electrum, pool
from tests.toy.chain import FAUCET, ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from tests.toy.faults import error
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Outpoint
from watcher.core.known import Flow
from watcher.ledger.verify import verify
from watcher.observe.triage import SCRIPTS_A_COMMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS, OTHER = (b"\x52\x20" + bytes([n] * 32) for n in (1, 2))
DEPOSITS = [b"\x52\x20" + n.to_bytes(32, "big") for n in range(SCRIPTS_A_COMMIT + 20)]


def refused_twice(script: bytes) -> Callable[[list[Any], Any], Any]:
    """The history of one script is refused for the moment."""
    refusals = [error(1, "not now"), error(1, "not now")]

    def answer(params: list[Any], honest: Any) -> Any:
        if params[0] == scripthash(script) and refusals:
            raise refusals.pop()
        return honest

    return answer


def too_busy(script: bytes) -> Callable[[list[Any], Any], Any]:
    """The history of one script is more than the server ever tells."""

    def answer(params: list[Any], honest: Any) -> Any:
        if params[0] == scripthash(script):
            raise error(1, "history too large")
        return honest

    return answer


@pytest.mark.parametrize("away", [False, True], ids=["watched", "after an outage"])
async def test_an_outflow_waits_for_a_script_that_is_refused_for_the_moment(
    tmp_path: Path, *, away: bool
) -> None:
    chain = ToyChain()
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [OURS, OTHER], wanted=1) as here,
    ):
        await here.baselined()
        if away:
            await server.stop()
        coin = chain.know(Tx((next(iter(chain.unspent(FAUCET))),), ((OTHER, 500_000),)))
        spend = chain.know(Tx((Outpoint(coin, 0),), ((OURS, 4_000), (FAUCET, 490_000))))
        server.forge("blockchain.scripthash.get_history", refused_twice(OTHER))
        chain.mine(txs=[coin, spend])
        if away:
            await server.start()
        await here.happens(lambda: here.balance == (4_000, 0), "what is left")
        assert [event.flow for event in here.told("tx.confirmed")] == [Flow.INFLOW, Flow.OUTFLOW]
        assert not here.told("tx.reclassified")
        assert (await here.writer.run(verify)).failures == []


async def test_an_outflow_waits_for_a_history_that_was_told_before_its_block_came(tmp_path: Path) -> None:
    """What is in no block takes two, and the coin, by that history, is in none yet."""
    chain = ToyChain()
    async with (
        ToyElectrum(chain) as server,
        ToyElectrum(chain) as away,
        pool(tmp_path, electrum({"a": server, "away": away}), [OURS, OTHER]) as here,
    ):
        await here.baselined()
        await away.stop()
        coin = chain.know(Tx((next(iter(chain.unspent(FAUCET))),), ((OTHER, 500_000),)))
        spend = chain.know(Tx((Outpoint(coin, 0),), ((OURS, 4_000), (FAUCET, 490_000))))
        late = [[{"tx_hash": coin, "height": 0, "fee": 200}]] * 2

        def answer(params: list[Any], honest: Any) -> Any:
            return late.pop() if params[0] == scripthash(OTHER) and late else honest

        server.forge("blockchain.scripthash.get_history", answer)
        chain.mine(txs=[coin, spend])
        await here.happens(lambda: here.balance == (4_000, 0), "what is left")
        told = [(event.txid, event.flow) for event in here.told("tx.confirmed")]
        assert told == [(coin, Flow.INFLOW), (spend, Flow.OUTFLOW)]
        assert not here.told("tx.reclassified")


async def test_a_coin_that_only_another_source_shows_puts_right_what_was_told_without_it(
    tmp_path: Path,
) -> None:
    """One never answers for the coin's address, and is all there is when the spend comes."""
    chain = ToyChain()
    async with (
        ToyElectrum(chain) as limited,
        ToyElectrum(chain) as able,
        pool(tmp_path, electrum({"limited": limited, "able": able}), [OURS, OTHER], wanted=1) as here,
    ):
        await here.baselined()
        await able.stop()
        limited.forge("blockchain.scripthash.get_history", too_busy(OTHER))
        coin = chain.know(Tx((next(iter(chain.unspent(FAUCET))),), ((OTHER, 500_000),)))
        spend = chain.know(Tx((Outpoint(coin, 0),), ((OURS, 4_000), (FAUCET, 490_000))))
        chain.mine(txs=[coin, spend])
        await here.happens(lambda: here.balance == (4_000, 0), "what is left")
        assert [event.txid for event in here.told("tx.confirmed")] == [spend]
        await able.start()
        await here.happens(lambda: bool(here.told("tx.reclassified")), "the coin")
        assert here.balance == (4_000, 0)
        assert [(e.txid, e.flow) for e in here.told("tx.reclassified")] == [(spend, Flow.OUTFLOW)]
        assert (await here.writer.run(verify)).failures == []


async def test_what_came_and_went_on_while_all_was_away_is_told_in_its_order(tmp_path: Path) -> None:
    """More scripts have news than are read at a time: what spends their coins may be read before they are."""
    chain = ToyChain()
    scripts = [OURS, OTHER, *DEPOSITS]
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), scripts, wanted=1) as here,
    ):
        await here.baselined()
        await server.stop()
        fan = chain.know(Tx((next(iter(chain.unspent(FAUCET))),), ((FAUCET, 6_000),) * len(DEPOSITS)))
        paid = [chain.know(Tx((Outpoint(fan, n),), ((script, 5_000),))) for n, script in enumerate(DEPOSITS)]
        swept = [chain.know(Tx((Outpoint(txid, 0),), ((OURS, 4_000),))) for txid in paid]
        chain.mine(txs=[fan, *paid])
        chain.mine(txs=swept)
        await server.start()
        await here.happens(lambda: here.balance == (4_000 * len(swept), 0), "all of it")
        assert {event.flow for event in here.told("tx.confirmed") if event.txid in swept} == {Flow.INTERNAL}
        assert not here.told("tx.reclassified")
        assert (await here.writer.run(verify)).failures == []


@pytest.mark.parametrize("paid", [((OURS, 4_000), (FAUCET, 490_000)), ((FAUCET, 490_000),)])
async def test_a_rival_of_what_is_gone_waits_for_its_coin_too(
    tmp_path: Path, paid: tuple[tuple[bytes, int], ...]
) -> None:
    """Also one that pays strangers only: it is in no history, and is asked for by the coin that it takes."""
    chain = ToyChain()
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [OURS, OTHER], wanted=1) as here,
    ):
        await here.baselined()
        first = chain.pay(OURS, 100_000)
        await here.happens(lambda: here.balance == (0, 100_000), "the payment")
        coin = chain.know(Tx((list(chain.unspent(FAUCET))[-1],), ((OTHER, 500_000),)))
        spend = chain.know(Tx((*chain.transactions[first].inputs, Outpoint(coin, 0)), paid))
        server.forge("blockchain.scripthash.get_history", refused_twice(OTHER))
        chain.mine(txs=[coin, spend])
        await here.happens(lambda: len(here.told("tx.confirmed")) == 2, "both")
        flows = [(event.txid, event.flow) for event in here.told("tx.confirmed")]
        assert flows == [(coin, Flow.INFLOW), (spend, Flow.OUTFLOW)]
        assert (await here.writer.run(verify)).failures == []
