"""What a source says without proof: witnesses, tips, statuses, payments to a treasury not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.rig import Pool, electrum, pool
from tests.pool.test_coins_before_spends import OTHER, OURS, refused_twice
from tests.toy.chain import FAUCET, ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from tests.toy.keys import Key, SegwitKey
from watcher.bitcoin.types import Outpoint
from watcher.core.known import Flow
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

Servers = dict[str, "ToyElectrum"]
STRANGER = b"\x52\x20" + b"\x77" * 32
JUNK = b"\x00" * 79 + b"\x01"  # a header without work
HEADERS = "blockchain.block.headers"
TIP = "blockchain.headers.subscribe"


def pretend_a_tip(server: ToyElectrum) -> None:
    server.forge(TIP, lambda _params, _honest: {"height": 2**31 - 1, "hex": JUNK.hex()})


async def has_heard_of_the_tip(here: Pool, name: str) -> None:
    attendant = here.watch.attendants[name]
    await here.happens(lambda: attendant.rests or bool(here.watch.conduct.strikes), "its tip")


async def test_a_tip_that_is_none_makes_nothing_late(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    pretend_a_tip(servers["a"])
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.happens(lambda: bool(here.told("watch.baselined")), "the baseline")
        await has_heard_of_the_tip(here, "a")
        chain.pay(key.script, 500_000)
        chain.mine()
        await here.happens(lambda: bool(here.told("tx.confirmed")), "the payment")
        assert [event.data["detected_late"] for event in here.told("tx.confirmed")] == [False]


async def test_a_tip_that_is_none_makes_no_outflow_come_before_its_coin(tmp_path: Path) -> None:
    chain = ToyChain()
    async with ToyElectrum(chain) as liar, ToyElectrum(chain) as server:
        pretend_a_tip(liar)
        sources = electrum({"liar": liar, "a": server})
        async with pool(tmp_path, sources, [OURS, OTHER], wanted=1) as here:
            await here.happens(lambda: bool(here.told("watch.baselined")), "the baseline")
            await has_heard_of_the_tip(here, "liar")
            coin = chain.know(Tx((next(iter(chain.unspent(FAUCET))),), ((OTHER, 500_000),)))
            spend = chain.know(Tx((Outpoint(coin, 0),), ((OURS, 4_000), (FAUCET, 490_000))))
            server.forge("blockchain.scripthash.get_history", refused_twice(OTHER))
            chain.mine(txs=[coin, spend])
            await here.happens(lambda: here.balance == (4_000, 0), "what is left")
            assert [event.flow for event in here.told("tx.confirmed")] == [Flow.INFLOW, Flow.OUTFLOW]
            assert not here.told("tx.reclassified")
            assert (await here.writer.run(verify)).failures == []


async def test_a_branch_without_work_and_without_end_is_not_piled_up(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    server = servers["a"]
    async with pool(tmp_path, electrum({"a": server}), [key.script], wanted=1) as here:
        await here.baselined()
        fork = chain.height - 3
        beyond: list[int] = []

        def headers(params: list[Any], honest: Any) -> Any:
            start, count = params
            if start + count - 1 <= fork:
                return honest
            good = [block.header.hex() for block in chain.blocks[start : fork + 1]]
            beyond.append(count - len(good))
            return {"count": count, "max": 2016, "headers": good + [JUNK.hex()] * (count - len(good))}

        server.forge(HEADERS, headers)
        pretend_a_tip(server)
        here.doorbells.sweep()
        await here.happens(lambda: bool(here.watch.conduct.strikes), "the liar named")
        assert sum(beyond) < 100_000


async def test_a_status_that_is_none_is_a_strike(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 10_000)
    chain.mine()
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        servers["a"].forge("blockchain.scripthash.subscribe", lambda _params, _honest: "no hash")
        await here.happens_by_sweeping(lambda: bool(here.watch.conduct.strikes), "a strike")


async def test_who_shows_the_right_witness_after_a_false_one_is_no_liar(
    servers: Servers, chain: ToyChain, tmp_path: Path
) -> None:
    """The id of a transaction says nothing of its witnesses, and the false one came first."""
    key = SegwitKey(7, 50_000)
    liar, honest = servers["a"], servers["b"]
    async with pool(tmp_path, electrum({"a": liar, "b": honest}), [key.script]) as here:
        await here.baselined()
        parent = chain.transactions[chain.pay(key.script, 50_000)]
        chain.drop(parent.txid)
        for _ in range(3):
            await here.sweep()
        here.events.clear()
        vout = [script for script, _ in parent.outputs].index(key.script)
        right, false = (
            key.spend(Outpoint(parent.txid, vout), [(STRANGER, 49_000)], forged=forged)
            for forged in (False, True)
        )
        assert right.txid == false.txid
        liar.faults.fakes |= {parent.txid: parent, false.txid: false}
        liar.notify()
        await here.happens(lambda: len(here.watch.candidates) == 2, "the liar's word")
        honest.faults.fakes |= {parent.txid: parent, right.txid: right}
        honest.notify()
        await here.happens_by_sweeping(lambda: len(here.told("tx.seen")) == 2, "both")
        assert [event.txid for event in here.told("tx.seen")] == [parent.txid, right.txid]
        assert ("b", "signature") not in here.watch.conduct.strikes


@pytest.mark.parametrize("third", [("y",), ("x", "y")])
async def test_the_quorum_of_one_treasury_is_none_of_another(
    servers: Servers, chain: ToyChain, tmp_path: Path, third: tuple[str, ...]
) -> None:
    """One invents a payment to both: it alone may learn the one, and the other has a quorum without it."""
    x, y = Key(7), Key(8)
    lists = {"x": [x.script], "y": [y.script]}
    learns = {"a": ("x",), "b": ("x",), "c": third}
    async with pool(tmp_path, electrum(servers), lists, learns=learns) as here:
        await here.happens(lambda: set(here.watch.complete) == {"x", "y"}, "both read")
        await here.happens(lambda: len(here.told("watch.baselined")) == 2, "both counted")
        payment = chain.transactions[chain.pay(STRANGER, 50_000)]
        chain.drop(payment.txid)
        servers["c"].fake_unconfirmed(Tx(payment.inputs, ((y.script, 1_000), (x.script, 40_000))))
        await here.happens(lambda: len(here.watch.candidates) == 1, "its word")
        for _ in range(10):
            await here.sweep()
        assert not [event for event in here.told("tx.seen") if event.treasury == "x"]


async def test_who_has_left_the_list_is_not_waited_for(
    servers: Servers, chain: ToyChain, tmp_path: Path
) -> None:
    """A payment to two: the one's quorum is its only source, the other's never showed it and then is none."""
    x, y = Key(7), Key(8)
    lists = {"x": [x.script], "y": [y.script]}
    learns = {"a": ("x", "y"), "b": ("y",), "c": ("y",)}
    async with pool(tmp_path, electrum(servers), lists, learns=learns) as here:
        await here.happens(lambda: len(here.told("watch.baselined")) == 2, "both counted")
        payment = chain.transactions[chain.pay(STRANGER, 50_000)]
        chain.drop(payment.txid)
        servers["a"].fake_unconfirmed(Tx(payment.inputs, ((y.script, 1_000), (x.script, 40_000))))
        await here.happens(lambda: len(here.watch.candidates) == 1, "its word")
        for _ in range(5):
            await here.sweep()
        assert not here.told("tx.seen")
        await here.relisted({"x": [x.script]})
        await here.happens_by_sweeping(lambda: bool(here.told("tx.seen")), "the payment")
        assert [event.treasury for event in here.told("tx.seen")] == ["x"]
