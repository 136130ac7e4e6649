"""Daemons that start at once: forks of a process that has everything imported, each with its own end."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.stack.daemon import Daemon
from tests.stack.processes import Child
from watcher.app import build
from watcher.cli import _run, running

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1  # prctl(2): a daemon does not outlive its nest
_IMPORTED = (build, running)  # what `run` imports when it runs


class Nest:
    """`with Nest() as nest`: the process to fork from."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.daemon.nest"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            cwd=_ROOT,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, *words: str | int) -> int:
        """The answer to one request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(words)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def daemon(self, config: str, directory: Path) -> Daemon:
        """A daemon that is started from here."""
        daemon = Daemon(config, directory)
        daemon.child = _Fledgling(self, daemon)
        return daemon


class _Fledgling(Child):
    """A fork of the nest, started, killed and waited for like any other child."""

    def __init__(self, nest: Nest, daemon: Daemon) -> None:
        super().__init__([sys.executable], log=daemon.child.log)
        self._nest = nest
        self._config = daemon.path
        self._pid: int | None = None

    @property
    def running(self) -> bool:
        return self._pid is not None and self._nest.ask("runs", self._pid) == 1

    def start(self) -> None:
        assert self._pid is None
        self._pid = self._nest.ask("fork", str(self._config), str(self.log))

    async def ended(self, *, within: float) -> int:  # noqa: ARG002 - it has ended
        assert self._pid is not None
        assert not self.running
        status, self._pid = self._nest.ask("kill", self._pid), None
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        if self._pid is not None:
            self._nest.ask("kill", self._pid)
            self._pid = None


def _fork(config: str, log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = _run(["--config", config, "run"])
    finally:
        os._exit(status)


def _runs(pid: int) -> int:
    """1 while it has not ended; it stays to be waited for."""
    return int(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None)


def _kill(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _serve() -> None:
    verbs: dict[str, Callable[..., int]] = {"fork": _fork, "runs": _runs, "kill": _kill}
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        sys.stdout.write(f"{verbs[verb](*arguments)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
