"""A child process ends with its owner, and its end is told truly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.processes import Child, ChildError, free_port, until

_ROOT = Path(__file__).parents[2]
_STARTER = """\
import pathlib, sys, time
from tests.stack.processes import Child
child = Child(["sleep", "600"], log=pathlib.Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


async def test_none_outlives_its_starter_even_a_killed_one(tmp_path: Path) -> None:
    starter = Child(
        [sys.executable, "-c", _STARTER, tmp_path / "log"],
        log=tmp_path / "pid",
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    starter.start()

    async def started() -> str:
        return starter.tail().strip()

    orphan = Path("/proc") / await until(started, within=60, what="the pid of the child's child")

    async def in_place() -> bool:
        return (orphan / "comm").read_text() == "sleep\n"  # setpriv has asked for the signal and is gone

    await until(in_place, within=60, what="the command in setpriv's place")
    starter.signal(signal.SIGKILL)  # to the starter alone: its child is in a group of its own

    async def gone() -> bool:
        try:
            return "Z" in (orphan / "stat").read_text().rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            return True

    await until(gone, within=60, what="the end of the orphan")
    assert await starter.ended(within=60) == -signal.SIGKILL


async def test_exit_codes_are_the_truth(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "exit 7"], log=tmp_path / "log")
    child.start()
    assert await child.ended(within=60) == 7
    child = Child(["sleep", "600"], log=tmp_path / "log")
    child.start()
    assert await child.terminate() == -signal.SIGTERM


async def test_one_that_ignores_sigterm_is_killed_and_told_of(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"], log=tmp_path / "log")
    child.start()

    async def deaf() -> bool:
        return "deaf" in child.tail()

    await child.ready(deaf, within=60)
    with pytest.raises(ChildError, match="still running"):
        await child.terminate(within=0.3)
    assert not child.running


async def test_an_early_end_shows_the_last_words(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "echo out of luck; exit 3"], log=tmp_path / "log")
    child.start()

    async def never() -> bool:
        return False

    with pytest.raises(ChildError, match=r"ended with 3\nout of luck"):
        await child.ready(never, within=60)


def test_a_port_is_free_only_when_nobody_listens() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ChildError, match="no free port"):
        free_port([port])
    assert free_port([port]) == port


def test_two_processes_never_give_out_the_same_port() -> None:
    ask = "from tests.stack.processes import free_port; print(*(free_port() for _ in range(200)), flush=True)"
    ours = [free_port() for _ in range(200)]
    other = subprocess.run(
        [sys.executable, "-c", ask], cwd=_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    theirs = [int(port) for port in other.stdout.split()]
    assert len(theirs) == 200
    assert not set(ours) & set(theirs)
    assert len(set(ours[:50])) == 50  # though nobody listens on them yet
