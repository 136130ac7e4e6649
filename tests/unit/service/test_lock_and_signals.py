"""One watcher a state, and a process that does what it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from watcher.service.hangups import note_hangups
from watcher.service.lock import LockedError, locked
from watcher.service.signals import signals_caught

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from watcher.service.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone_however_it_went(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(LockedError, match=f"locked by another watcher .process {holder.pid}."),
            locked(path),
        ):
            pytest.fail("not reached")
        holder.kill()
        holder.wait(60)
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o777 == 0o600
    with locked(path):
        pass


@pytest.fixture
def signals_given_back() -> Iterator[None]:
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, action in before.items():
        signal.signal(number, action)


@pytest.mark.usefixtures("signals_given_back")
async def test_signals_stop_and_reload_and_then_do_nothing() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    meanings = {signal.SIGHUP: "reload", signal.SIGTERM: "stop", signal.SIGINT: "stop"}
    with signals_caught(stop=lambda: told.put_nowait("stop"), reload=lambda: told.put_nowait("reload")):
        for number, meaning in meanings.items():
            os.kill(os.getpid(), number)
            assert await asyncio.wait_for(told.get(), 60) == meaning
    for number in meanings:
        os.kill(os.getpid(), number)
    await asyncio.sleep(0)
    assert told.empty()


@pytest.mark.usefixtures("signals_given_back")
async def test_a_hangup_that_came_before_anybody_listened_is_not_lost() -> None:
    told: list[str] = []
    for hangups, meanings in ((0, []), (3, ["reload"])):
        note_hangups()
        for _ in range(hangups):
            os.kill(os.getpid(), signal.SIGHUP)
        with signals_caught(stop=lambda: None, reload=lambda: told.append("reload")):
            assert told == meanings
