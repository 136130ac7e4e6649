"""What is told after a reorganisation, of what was told before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pool.rig import electrum, pool
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum
    from tests.toy.keys import Key


async def test_a_block_that_came_on_a_new_branch_is_not_late(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    """It is no higher than the tip at the start, and came while everybody listened."""
    chain.mine(3)
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        paid = chain.pay(key.script, 50_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the payment")
        chain.reorg(2, [paid])
        await here.happens(lambda: here.balance == (50_000, 0), "its block")
        assert [event.data["detected_late"] for event in here.told("tx.confirmed")] == [False]
        assert (await here.writer.run(verify)).failures == []


async def test_what_only_a_new_branch_has_is_told_with_its_fee(
    servers: dict[str, ToyElectrum], chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.mine(3)
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        paid = chain.pay(key.script, 50_000)
        payment = chain.transactions[paid]
        chain.drop(paid)
        chain.know(payment)
        chain.reorg(2, [paid])
        await here.happens(lambda: here.balance == (50_000, 0), "the payment")
        (told,) = here.told("tx.confirmed")
        assert told.data["fee_sats"] is not None
