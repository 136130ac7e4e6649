"""A clock that jumps, a machine that sleeps: nothing is lost or falls silent, and nothing stale is fresh."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, fresh
from tests.delivery import rig
from tests.stack.processes import until
from tests.years.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

pytestmark = pytest.mark.slow

DAY = 86_400
JUMPS = {"a day ahead": DAY, "a day back": -DAY, "to 1970": -int(time.time()) + 3_600}


def place(folder: Path, toy: ToyElectrum, receiver: rig.Receiver) -> tuple[Place, str]:
    """A daemon's place, and its config: it rereads every two seconds and is stale after six."""
    found = Place(folder, {"home": toy.url}, receiver.url)
    return found, found.config().replace('reread = "2s"', 'reread = "2s"\nstale_after = "6s"')


async def told(receiver: rig.Receiver, txid: str) -> None:
    """Until a webhook about the transaction came and was taken."""

    async def came() -> bool:
        return any(txid.encode() in request.body for request in receiver.requests)

    await until(came, within=60, what=f"a webhook about {txid}")


async def stale(daemon: Daemon) -> None:
    """Until it says that it does not know the present."""

    async def is_stale() -> bool:
        return (await daemon.get("/freshz")).status == 503

    await until(is_stale, within=60, what="a stale daemon")


@pytest.mark.parametrize("jump", JUMPS)
async def test_whatever_the_clock_does_coins_are_told_and_staleness_too(
    toy: ToyElectrum, tmp_path: Path, jump: str
) -> None:
    clock = Clock(tmp_path / "clock")
    async with rig.Receiver() as receiver:
        here, config = place(tmp_path, toy, receiver)
        async with here.daemon(config, **clock.environment) as daemon:
            await fresh(daemon)
            receiver.otherwise = rig.status(500)
            owed = toy.chain.pay(ALPHA, 40_000)
            await told(receiver, owed)  # and refused: it is to be sent again in a few seconds
            clock.set_by(JUMPS[jump])
            toy.swallow_notifications()  # from here on only the periodic reading finds anything
            receiver.otherwise = rig.status(200)
            receiver.requests.clear()
            await told(receiver, toy.chain.pay(ALPHA, 50_000))
            await told(receiver, owed)
            await fresh(daemon)
            toy.stall()
            await stale(daemon)
            assert await daemon.terminate() == 0
        assert "Traceback" not in daemon.child.log.read_text()


async def test_with_the_clock_set_back_while_nobody_answers_an_old_reading_is_not_fresh_for_ever(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "clock")
    async with rig.Receiver() as receiver:
        here, config = place(tmp_path, toy, receiver)
        async with here.daemon(config, **clock.environment) as daemon:
            await fresh(daemon)
            toy.stall()
            clock.set_by(-DAY)
            await stale(daemon)
            assert await daemon.terminate() == 0


async def test_started_with_the_clock_right_again_what_waits_for_tomorrow_is_sent_now(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "clock")
    clock.set_by(DAY)
    async with rig.Receiver() as receiver:
        here, config = place(tmp_path, toy, receiver)
        async with here.daemon(config, **clock.environment) as daemon:
            await fresh(daemon)
            receiver.otherwise = rig.status(500)
            owed = toy.chain.pay(ALPHA, 40_000)
            await told(receiver, owed)  # and refused
            assert await daemon.terminate() == 0
            clock.set_by(0)
            receiver.otherwise = rig.status(200)
            receiver.requests.clear()
            await daemon.start()
            await told(receiver, owed)
            await fresh(daemon)
            assert await daemon.terminate() == 0


async def test_a_machine_that_slept_catches_up(toy: ToyElectrum, tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    async with rig.Receiver() as receiver:
        here, config = place(tmp_path, toy, receiver)
        async with here.daemon(config, **clock.environment) as daemon:
            await fresh(daemon)
            daemon.child.pause()
            missed = toy.chain.pay(ALPHA, 60_000)
            toy.chain.mine(3)
            toy.disconnect_all()
            clock.set_by(8 * 3600)
            daemon.child.resume()
            await told(receiver, missed)
            await fresh(daemon)

            async def is_at_the_tip() -> bool:
                return await daemon.metric("watcher_tip_height") == toy.chain.height

            await until(is_at_the_tip, within=60, what="the tip of the chain")
            assert await daemon.terminate() == 0
