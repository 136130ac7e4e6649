"""What an operator reads in the journal: a source's failure once, its recovery once, flapping as one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, fresh
from tests.stack.processes import until
from watcher.observe.tidings import RECOVERIES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

pytestmark = pytest.mark.slow

LINE = re.compile(
    r'ts=\S+ level=\w+ logger=\S+ msg=(?:"(?:[^"\\]|\\.)*"|\S+)(?: \w+=(?:"(?:[^"\\]|\\.)*"|\S+))*'
)


def count(daemon: Daemon, text: str) -> int:
    """How many lines of the log have this."""
    return sum(text in line for line in daemon.child.log.read_text().splitlines())


async def comes_and_goes(daemon: Daemon, toy: ToyElectrum) -> None:
    """The source hangs up, and is connected again."""
    connections = toy.connections
    toy.disconnect_all()

    async def connected() -> bool:
        return toy.connections > connections and bool(toy.clients) and await up(daemon)

    await until(connected, within=180, what="another connection")


async def up(daemon: Daemon) -> bool:
    """Whether the daemon has its source."""
    return await daemon.metric("watcher_source_up", source="home") == 1


async def test_a_failure_is_told_once_and_so_is_the_recovery(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        await toy.stop()

        async def tried_again() -> bool:
            requests = await daemon.metric("watcher_source_up", source="home")
            return requests == 0 and count(daemon, "source failed") >= 1

        await until(tried_again, within=120, what="the failure")
        await toy.start()
        await until(lambda: up(daemon), within=120, what="the recovery")
        toy.chain.pay(ALPHA, 10_000)
        await fresh(daemon)
        # hung up on, and then refused: two reasons; each once, however often it was tried
        assert 1 <= count(daemon, "source failed") <= 2
        assert count(daemon, "source recovered") == 1
        assert await daemon.terminate() == 0
        lines = daemon.child.log.read_text().splitlines()
        assert [line for line in lines if not LINE.fullmatch(line)] == []


async def test_a_source_that_comes_and_goes_is_told_of_a_few_times_and_then_as_one_line(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        for _ in range(RECOVERIES + 3):  # each time it waits longer at most: for the last half a minute
            await comes_and_goes(daemon, toy)
        assert count(daemon, "source recovered") == RECOVERIES
        assert count(daemon, "source failed") == RECOVERIES + 1
        assert count(daemon, "source comes and goes") == 1
