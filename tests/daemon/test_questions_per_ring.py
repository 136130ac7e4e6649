"""What a bell costs at the source, in questions: by this count the bench's figures stay what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, Place, events_are, fresh
from tests.stack.processes import until
from tests.stack.receiver import Receiver, status

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web

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


def flushes(ledger: Path) -> int:
    """How many commits are in its log (sqlite.org/fileformat2.html, 4.1): each was a flush to disk."""
    data = ledger.with_name(ledger.name + "-wal").read_bytes()
    salts, a_frame = data[16:24], 24 + int.from_bytes(data[8:12], "big")
    heads = (data[at : at + 24] for at in range(32, len(data) - a_frame + 1, a_frame))
    return sum(head[8:16] == salts and head[4:8] != bytes(4) for head in heads)


async def test_an_alarm_waits_for_no_answer_that_can_come_beside_another(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(seldom_reread(place)) as daemon:
        await fresh(daemon)
        toy.faults.waits_for[TIP] = TRANSACTION
        toy.chain.pay(ALPHA, 50_000)
        await events_are(daemon, 3)


async def test_an_alarm_is_sent_after_one_flush_to_disk(toy: ToyElectrum, tmp_path: Path) -> None:
    ledger = tmp_path / "state" / "ledger.sqlite"
    at_arrival: list[int] = []

    async def count(request: web.Request) -> web.StreamResponse:
        at_arrival.append(flushes(ledger))
        return await status(204)(request)

    async with Receiver() as receiver:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        async with place.daemon(seldom_reread(place)) as daemon:
            await fresh(daemon)

            async def all_recorded() -> bool:
                return len(receiver.verified) >= 2 and not await daemon.metric("watcher_outbox_pending")

            await until(all_recorded, within=60, what="two baselines delivered")
            receiver.answer = count
            before = flushes(ledger)
            toy.chain.pay(ALPHA, 50_000)
            await receiver.wait_for(lambda received: received.type == "tx.seen")
            assert [flushed - before for flushed in at_arrival] == [1]


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
