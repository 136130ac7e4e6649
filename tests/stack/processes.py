"""Child processes with an owner: each is ended by its own handle and none outlives whoever started it."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")

# Below the range from which the kernel draws the ports of outgoing connections: one of those would now
# and then take the port between our choosing it and the server's binding it. For the same reason each
# process gives out ports of its own share of them.
_PORTS = range(20_000, 32_000)
_SHARE = 120  # ports: far more than any test has at once
_TAIL_BYTES = 4_000
_POLL_SECONDS = 0.02


class ChildError(RuntimeError):
    """A child process ended, or did not get ready, other than asked; the message has its last output."""


class Child:
    """A command in a process group of its own, its output appended to a file.

    The kernel kills it when the thread that started it ends, even by SIGKILL: start children from the
    main thread.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        self._command = [str(word) for word in command]
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Started and not yet ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; raises `ChildError` before the first start."""
        return self._started().pid

    def start(self) -> None:
        """Start it, again after an end; raises `ChildError` while it runs."""
        if self.running:
            raise ChildError(f"already running: {self._command[0]}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """Send a signal to the process alone; nothing when it has ended."""
        self._started().send_signal(number)

    def pause(self) -> None:
        """SIGSTOP to the whole group: connections stay open and nobody answers."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to the whole group."""
        os.killpg(self.pid, signal.SIGCONT)

    async def ended(self, *, within: float) -> int:
        """Its exit code (negative: the signal that ended it), raising `ChildError` when it runs on."""
        process = self._started()
        if process.poll() is None and not await _readable_pidfd(process.pid, within):
            raise ChildError(f"still running after {within:g} s\n{self.tail()}")
        return process.wait()

    async def terminate(self, *, within: float = 60) -> int:
        """SIGTERM, and its exit code; kills it and raises `ChildError` when it does not end in time."""
        self.signal(signal.SIGTERM)
        try:
            return await self.ended(within=within)
        except ChildError:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL to the whole group, and reap it; nothing when it never ran."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def tail(self) -> str:
        """The end of its output."""
        try:
            content = self.log.read_bytes()
        except FileNotFoundError:
            return ""
        return content[-_TAIL_BYTES:].decode(errors="replace")

    async def ready(self, condition: Callable[[], Awaitable[bool]], *, within: float) -> None:
        """Wait until the condition holds; raises `ChildError` when it ends before, or is late."""
        name = Path(self._command[0]).parent.name + "/" + Path(self._command[0]).name
        deadline = time.monotonic() + within
        while not await condition():
            if not self.running:
                raise ChildError(f"{name} ended with {await self.ended(within=1)}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ChildError(f"{name} is not ready after {within:g} s\n{self.tail()}")
            await asyncio.sleep(_POLL_SECONDS)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ChildError(f"never started: {self._command[0]}")
        return self._process


async def until(
    ask: Callable[[], Awaitable[T | None]], *, within: float, what: str, every: float = _POLL_SECONDS
) -> T:
    """The first true answer; raises `TimeoutError` with `what` and the last answer after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = await ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:g} s, at last {answer!r}")
        await asyncio.sleep(every)


def free_port(candidates: Iterable[int] | None = None) -> int:
    """A loopback TCP port that nobody listens on now, by default one that no other process gives out.

    None is given out again before all others of this process were; raises `ChildError`.
    """
    for port in itertools.islice(_own_ports(), _SHARE) if candidates is None else candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise ChildError("no free port among those tried")


@functools.cache
def _own_ports() -> Iterator[int]:
    """The ports of a share that is this process's as long as it lives, over and over."""
    shares = range(len(_PORTS) // _SHARE)
    for share in random.sample(shares, len(shares)):
        # A name in the abstract namespace is one process's, goes with it, leaves no file, and counts where
        # the ports count: in the network namespace. The descriptor is never closed.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0treasury-watcher-ports-{share}")
        except OSError:
            claim.close()
            continue
        claim.detach()
        return itertools.cycle(_PORTS[share * _SHARE : (share + 1) * _SHARE])
    raise ChildError("other processes have all ports")


async def _readable_pidfd(pid: int, within: float) -> bool:
    """Whether the process ended in time; the caller still reaps it, so that the id cannot be another's."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, gone.set)
    try:
        async with asyncio.timeout(within):
            await gone.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True
