"""What a bell costs at the source, in questions: by this count the bench's figures stay what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, Place, events_are, fresh
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.electrum import ToyElectrum

TIP = "blockchain.headers.subscribe"
SUBSCRIBE = "blockchain.scripthash.subscribe"
HISTORY = "blockchain.scripthash.get_history"
TRANSACTION = "blockchain.transaction.get"
BRANCH = "blockchain.transaction.get_merkle"


def seldom_reread(place: Place) -> str:
    """Its config, by which what nobody announced would be found an hour later."""
    config = place.config().replace('reread = "2s"', 'reread = "1h"')
    return config.replace("[timing]", '[timing]\nstale_after = "3h"')


async def test_a_ring_costs_one_history_a_block_one_branch_and_a_restart_nothing(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(seldom_reread(place)) as daemon:
        await fresh(daemon)
        at_start = toy.counts.copy()
        assert at_start[SUBSCRIBE] == 2  # as many as are watched
        assert at_start[HISTORY] == 0  # both are said to have no history

        toy.chain.pay(ALPHA, 50_000)
        await events_are(daemon, 3)
        seen = toy.counts - at_start
        # the tip once, behind the history: before it, it is known as it was told
        assert (seen[TIP], seen[SUBSCRIBE], seen[HISTORY], seen[BRANCH]) == (1, 0, 1, 0)
        assert seen[TRANSACTION] <= 2  # itself and its parent

        before = toy.counts.copy()
        toy.chain.mine()
        await events_are(daemon, 4)
        confirmed = toy.counts - before
        assert (confirmed[SUBSCRIBE], confirmed[HISTORY], confirmed[BRANCH]) == (0, 1, 1)
        assert confirmed[TRANSACTION] == 0  # its own bytes are in the ledger, and its fee is known

        before = toy.counts.copy()
        await daemon.restart()

        async def all_subscribed() -> bool:
            return (toy.counts - before)[SUBSCRIBE] >= 2

        # by its ledger it is fresh before it has asked anybody, so freshness is not waited for here
        await until(all_subscribed, within=60, what="two subscriptions")
        mined = toy.chain.mine()

        async def followed() -> bool:
            return await daemon.metric("watcher_tip_height") == mined.height

        await until(followed, within=60, what="the tip after the restart")
        again = toy.counts - before
        assert (again[SUBSCRIBE], again[HISTORY], again[TRANSACTION]) == (2, 0, 0)


async def test_what_rings_after_a_block_that_was_not_announced_waits_for_no_sweep(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(seldom_reread(place)) as daemon:
        await fresh(daemon)
        toy.swallow_notifications()
        toy.chain.mine()
        toy.faults.silent_bells = False
        toy.chain.pay(ALPHA, 50_000)
        await events_are(daemon, 3)
