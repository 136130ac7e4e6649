"""A word that was given before a block came, and is heard after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.pool.rig import electrum, pool
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum
    from tests.toy.keys import Key

STRANGER = b"\x52\x20" + b"\x77" * 32
HISTORY = "blockchain.scripthash.get_history"
TIP = "blockchain.headers.subscribe"
TRANSACTION = "blockchain.transaction.get"


async def test_an_outflow_said_to_be_unconfirmed_before_its_block_came_stays_proven(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    quick, slow = servers["a"], servers["b"]
    async with pool(tmp_path, electrum({"quick": quick, "slow": slow}), [key.script]) as here:
        await here.baselined()
        asked = slow.counts[HISTORY]

        def hangs_after_each_answer(_params: list[Any], honest: Any) -> Any:
            if slow.counts[HISTORY] > asked:
                slow.half_open()
            return honest

        slow.forge(TIP, hangs_after_each_answer)
        slow.forge(TRANSACTION, hangs_after_each_answer)
        (coin,) = chain.unspent(key.script)
        spend = key.spend(coin, [(STRANGER, 49_000)])
        slow.fake_unconfirmed(spend)
        await here.happens(lambda: slow.faults.deaf, "the word, whose transaction is still to come")
        chain.know(spend)
        chain.mine(1, [spend.txid])
        await here.happens(lambda: here.balance == (0, 0), "the outflow")
        quick.half_open()  # nobody sets right now what is made of it
        rounds = here.watch.attendants["slow"].rounds
        slow.hear()
        await here.happens(lambda: here.watch.attendants["slow"].rounds > rounds, "the word heard")
        found = await here.writer.run(verify)
        assert (found.proven, found.unproven, found.failures) == (2, 0, [])
        assert [event.type for event in here.events if event.txid] == ["tx.confirmed"]
        assert not here.watch.conduct.strikes
