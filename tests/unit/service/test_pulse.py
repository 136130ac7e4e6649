"""systemd hears of life while the work gets on, and hears nothing when one part of it stands still."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from watcher.service.pulse import Progress, give_signs
from watcher.service.systemd import Systemd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

INTERVAL = 0.04  # a sign every 10 ms


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


def test_what_changes_is_not_stuck_however_long_it_takes() -> None:
    clock, steps = Clock(), iter(range(10_000))
    progress = Progress(lambda: next(steps), monotonic=clock, seconds=300)
    for _ in range(100):
        clock.now += 299
        assert not progress.stuck()


def test_what_rightly_waits_is_not_stuck() -> None:
    clock = Clock()
    progress = Progress(lambda: None, monotonic=clock, seconds=300)
    for _ in range(100):
        clock.now += 10_000
        assert not progress.stuck()


def test_the_same_step_for_too_long_is_stuck_until_the_next_one() -> None:
    clock, step = Clock(), [7]
    progress = Progress(lambda: step[0], monotonic=clock, seconds=300)
    assert not progress.stuck()
    clock.now += 300
    assert not progress.stuck()
    clock.now += 1
    assert progress.stuck()
    step[0] = 8
    assert not progress.stuck()


def test_waiting_between_two_equal_steps_starts_the_time_again() -> None:
    clock, step = Clock(), [7]
    looks: list[int | None] = [7, None, 7]
    progress = Progress(lambda: looks.pop(0) if looks else step[0], monotonic=clock, seconds=300)
    for _ in range(3):
        assert not progress.stuck()
        clock.now += 200
    assert not progress.stuck()


class Manager:
    """The datagrams that systemd would get."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.systemd = Systemd({"NOTIFY_SOCKET": str(path)})

    async def sign(self) -> str:
        """The next one."""
        async with asyncio.timeout(60):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 100)).decode()

    async def silence(self) -> None:
        """Returns when none came for many times as long as one takes; one fails."""
        while True:  # what was on its way
            try:
                self._socket.recv(100)
            except BlockingIOError:
                break
        try:
            async with asyncio.timeout(INTERVAL * 5):
                told = await asyncio.get_running_loop().sock_recv(self._socket, 100)
        except TimeoutError:
            return
        raise AssertionError(told)

    def close(self) -> None:
        """The end of it."""
        self._socket.close()


@asynccontextmanager
async def signs(path: Path, *, ledger: asyncio.Event, watching: Progress) -> AsyncIterator[Manager]:
    """Signs are given meanwhile; the ledger takes its turns while the event is set."""

    async def turn() -> None:
        await ledger.wait()

    manager = Manager(path / "notify")
    task = asyncio.create_task(give_signs(manager.systemd, INTERVAL, ledger=turn, watching=watching))
    try:
        yield manager
    finally:
        task.cancel()
        await asyncio.wait([task])
        manager.close()


async def test_signs_come_while_all_get_on_and_stop_while_the_ledger_stands_still(tmp_path: Path) -> None:
    ledger = asyncio.Event()
    ledger.set()
    async with signs(tmp_path, ledger=ledger, watching=Progress(lambda: None, monotonic=Clock())) as manager:
        for _ in range(3):
            assert await manager.sign() == "WATCHDOG=1"
        ledger.clear()
        # one may have been past the ledger when it stopped
        await asyncio.sleep(0)
        await manager.silence()
        ledger.set()
        assert await manager.sign() == "WATCHDOG=1"


async def test_signs_stop_while_the_watching_is_stuck_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, clock, step = asyncio.Event(), Clock(), [1]
    ledger.set()
    watching = Progress(lambda: step[0], monotonic=clock, seconds=300)
    async with signs(tmp_path, ledger=ledger, watching=watching) as manager:
        assert await manager.sign() == "WATCHDOG=1"
        clock.now += 301
        await manager.silence()
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]
        step[0] = 2
        assert await manager.sign() == "WATCHDOG=1"
