"""Sources that hide, forge and lag: no false fact, nothing proven is missed, and whoever lied is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pool.rig import electrum, pool
from tests.toy.chain import FAUCET
from tests.toy.coding import Tx
from watcher.bitcoin.types import Outpoint, Txid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum
    from tests.toy.keys import Key

Servers = dict[str, "ToyElectrum"]
STRANGER = b"\x52\x20" + b"\x77" * 32


def coin_of(chain: ToyChain, script: bytes) -> Outpoint:
    return next(iter(chain.unspent(script)))


async def test_a_source_that_hides_a_proven_transaction_is_caught_and_nothing_is_missed(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        theft = key.spend(coin_of(chain, key.script), [(STRANGER, 49_000)])
        for name in ("a", "b"):
            servers[name].omit(theft.txid)
        chain.know(theft)
        chain.mine(1, [theft.txid])
        await here.happens(lambda: bool(here.told("tx.confirmed")), "the outflow")
        assert here.balance == (0, 0)
        await here.happens_by_sweeping(lambda: len(here.watch.quarantined()) == 2, "both named")
        assert here.watch.conduct.convicted_of("a") == here.watch.conduct.convicted_of("b") == "omitted"
        assert here.watch.conduct.convicted_of("c") is None
        assert here.balance == (0, 0)


async def test_one_of_two_that_hides_is_caught_within_two_readings(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    two = {name: servers[name] for name in ("a", "b")}
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.baselined()
        hidden = chain.pay(key.script, 50_000)
        two["b"].omit(hidden)
        chain.mine()
        await here.happens(lambda: bool(here.told("tx.confirmed")), "the inflow")
        await here.happens_by_sweeping(lambda: here.watch.quarantined() == ("b",), "the liar named")
        assert here.balance == (50_000, 0)


async def test_an_inflow_that_only_one_source_shows_is_no_fact(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        phantom = Tx((Outpoint(Txid("ab" * 32), 0),), ((key.script, 1_000_000),))
        servers["b"].fake_unconfirmed(phantom)
        await here.happens(lambda: bool(here.watch.candidates), "the word of one")
        await here.sweep()
        assert not here.told("tx.seen")
        servers["b"].take_back(phantom.txid)
        await here.happens(lambda: here.watch.conduct.strikes["b", "phantom"] == 1, "the strike")
        assert here.balance == (0, 0)


async def test_an_inflow_is_told_as_soon_as_the_quorum_shows_it(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        paid = chain.pay(key.script, 50_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow")
        (seen,) = here.told("tx.seen")
        sources = seen.data["sources"]
        assert isinstance(sources, list)
        assert (seen.txid, seen.data["trust"], len(sources)) == (paid, "corroborated", 2)


async def test_a_rightly_signed_outflow_of_one_source_is_told_at_once(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        theft = key.spend(coin_of(chain, key.script), [(STRANGER, 49_000)])
        servers["c"].fake_unconfirmed(theft)
        await here.happens(lambda: bool(here.told("tx.seen")), "the outflow")
        (seen,) = here.told("tx.seen")
        assert (seen.data["trust"], seen.data["sources"]) == ("reported", ["c"])
        assert here.balance == (50_000, -50_000)


async def test_a_forged_theft_is_a_strike_and_nothing_else(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        theft = key.spend(coin_of(chain, key.script), [(STRANGER, 49_000)], forged=True)
        for name in ("a", "b", "c"):
            servers[name].fake_unconfirmed(theft)
        await here.happens(lambda: len(here.watch.quarantined()) == 3, "all named")
        assert {reason for (_, reason) in here.watch.conduct.strikes} == {"signature"}
        assert not here.told("tx.seen")
        assert here.balance == (50_000, 0)


async def test_two_of_one_operator_are_one_word(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    same = {"a": "one", "b": "one"}
    async with pool(tmp_path, electrum(servers), [key.script], operators=same) as here:
        await here.baselined()
        coin = coin_of(chain, FAUCET)
        payment = Tx((coin,), ((key.script, 60_000),))
        servers["a"].fake_unconfirmed(payment)
        servers["b"].fake_unconfirmed(payment)
        await here.sweep()
        assert not here.told("tx.seen")
        servers["c"].fake_unconfirmed(payment)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow")


async def test_ones_own_server_suffices(servers: Servers, chain: ToyChain, key: Key, tmp_path: Path) -> None:
    async with pool(tmp_path, electrum(servers), [key.script], trusted=["b"]) as here:
        await here.baselined()
        payment = Tx((coin_of(chain, FAUCET),), ((key.script, 60_000),))
        servers["b"].fake_unconfirmed(payment)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow")
        assert here.told("tx.seen")[0].data["trust"] == "corroborated"


async def test_a_source_that_stands_still_does_not_count(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    two = {name: servers[name] for name in ("a", "b")}
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.baselined()
        two["b"].freeze_tip()
        chain.mine(3)
        await here.happens(lambda: here.watch.tip == chain.tip, "our tip")
        await here.sweep()
        assert here.watch.fresh_sources() == ("a",)
        assert here.watch.complete["alpha"].block.height < chain.height
        assert not here.watch.quarantined()


async def test_what_one_still_shows_is_not_dropped(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        asked = servers["c"].counts["blockchain.scripthash.get_history"]
        paid = chain.pay(key.script, 50_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow")
        await here.happens(
            lambda: servers["c"].counts["blockchain.scripthash.get_history"] > asked, "the third's word"
        )
        await here.sweep()  # it is taken down
        tx = chain.transactions[paid]
        servers["c"].faults.fakes[paid] = tx
        chain.drop(paid)
        for _ in range(3):
            await here.sweep()
        assert not here.told("tx.dropped")
        servers["c"].take_back(paid)
        await here.happens_by_sweeping(lambda: bool(here.told("tx.dropped")), "the end of it")
        assert here.balance == (0, 0)
        servers["c"].fake_unconfirmed(tx)  # that the ledger knows it makes the word of one no better
        for _ in range(3):
            await here.sweep()
        assert len(here.told("tx.seen")) == 1
        servers["a"].fake_unconfirmed(tx)
        await here.happens_by_sweeping(lambda: len(here.told("tx.seen")) == 2, "the quorum's word")
        assert here.balance == (0, 50_000)


async def test_forged_branches_prove_nothing(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        for name in ("a", "b"):
            servers[name].forge_merkle()
        chain.pay(key.script, 50_000)
        chain.mine()
        await here.happens(lambda: bool(here.told("tx.confirmed")), "the inflow")
        assert here.told("tx.confirmed")[0].data["sources"] == ["c"]
        assert here.balance == (50_000, 0)


async def test_a_status_that_never_fits_its_history_is_a_strike(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        servers["b"].forge("blockchain.scripthash.subscribe", lambda _params, _honest: "ab" * 32)
        await here.happens_by_sweeping(lambda: here.watch.conduct.strikes["b", "status"] == 1, "the strike")
        assert here.balance == (0, 0)
        assert not here.watch.conduct.strikes["a", "status"]


async def test_a_released_source_is_asked_again_and_agrees(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    two = {name: servers[name] for name in ("a", "b")}
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.baselined()
        hidden = chain.pay(key.script, 50_000)
        two["b"].omit(hidden)
        chain.mine()
        await here.happens_by_sweeping(lambda: here.watch.quarantined() == ("b",), "the liar named")
        two["b"].faults.omitted.clear()
        assert here.watch.release("b")
        await here.happens(lambda: here.watch.conduct.convicted_of("b") is None, "agreement", within=150)
        await here.happens_by_sweeping(lambda: len(here.watch.fresh_sources()) == 2, "both to count")


async def test_an_outflow_that_a_branch_takes_back_is_not_called_forged(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        spend = key.spend(coin_of(chain, key.script), [(STRANGER, 49_000)])
        chain.know(spend)
        chain.mine(1, [spend.txid])
        await here.happens(lambda: here.balance == (0, 0), "the outflow")
        chain.reorg(1)
        await here.happens(lambda: here.balance == (50_000, -50_000), "the outflow out of its block")
        assert not here.watch.conduct.strikes
