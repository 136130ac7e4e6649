"""The demo shows everything once, agrees with the node, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack import fetch

ROOT = Path(__file__).parents[2]
LATEST = 300.0  # for anything, on a busy machine
SHOWN = (
    *("tx.seen inflow", "tx.seen outflow", "tx.seen internal"),
    *("tx.confirmed inflow", "tx.confirmed outflow", "tx.confirmed internal"),
    *("tx.final inflow", "tx.replaced inflow", "tx.replaced outflow"),
    *("tx.moved inflow", "tx.unconfirmed inflow", "chain.reorganized", "watch.baselined"),
)


class Running:
    """A demo of the test's own, in a process group and a temporary folder of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.scratch = folder / "tmp"
        self.scratch.mkdir()
        self.out = folder / "out"
        self.err = folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.stack.demo"],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(self.scratch), **environment},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def lines(self) -> list[str]:
        return self.out.read_text().splitlines()

    def missing(self, *kinds: str) -> list[str]:
        """Those that no line begins with."""
        return [kind for kind in kinds if not any(re.match(rf"{kind}\b", line) for line in self.lines)]

    def wait_for(self, *kinds: str) -> None:
        """Until there is a line that begins with each of them."""
        deadline = time.monotonic() + LATEST
        while missing := self.missing(*kinds):
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, (missing, self.out.read_text())
            time.sleep(0.05)

    def children(self) -> dict[int, str]:
        """Every living process that works in our folder: the node, the server, the daemon, the fetching."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if str(self.scratch) in command + (entry / "environ").read_bytes().decode(errors="replace"):
                    found[int(entry.name)] = command
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or is not ours
        return found

    def end(self) -> int:
        code = self.process.wait(timeout=LATEST)
        assert list(self.scratch.iterdir()) == []
        deadline = time.monotonic() + LATEST
        while left := self.children():  # what a killed process had started dies a moment after it
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
        return code


@contextmanager
def demo(folder: Path, **environment: str) -> Iterator[Running]:
    running = Running(folder, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()  # its children go with it
        running.process.wait()


@pytest.mark.real
@pytest.mark.parametrize(("number", "shown"), [(signal.SIGINT, SHOWN), (signal.SIGTERM, SHOWN[:1])])
def test_it_shows_everything_once_and_a_signal_ends_it(
    stack_cache: fetch.Parts, tmp_path: Path, number: signal.Signals, shown: tuple[str, ...]
) -> None:
    with demo(tmp_path) as running:
        running.wait_for("all is up", *shown)
        assert len(running.children()) >= 4  # else what follows could not fail
        os.killpg(running.process.pid, number)
        assert running.end() == 0, running.err.read_text()
    lines = running.lines
    assert any(line.endswith("/metrics") and "http://127.0.0.1:" in line for line in lines)
    assert sum("scantxoutset says the same" in line for line in lines) == 2
    assert any(re.fullmatch(r"\d+ webhooks verified, 0 refused, 0 missing", line) for line in lines)
    assert any(line.startswith("verify ended with 0") for line in lines)
    assert "\x1b" not in running.out.read_text()
    assert running.err.read_text() == ""


@pytest.mark.real
def test_it_ends_by_itself(stack_cache: fetch.Parts, tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="2") as running:
        assert running.end() == 0, running.err.read_text()
    assert running.missing("all is up", "verify ended with 0") == []
    assert running.err.read_text() == ""


@pytest.mark.real
def test_a_signal_ends_it_while_it_starts(stack_cache: fetch.Parts, tmp_path: Path) -> None:
    never_up = tmp_path / "never-up"  # else a machine might start all of it before the signal comes
    never_up.write_text("#!/bin/sh\nexec sleep 3600\n")
    never_up.chmod(0o755)
    with demo(tmp_path, ELECTRUMX=str(never_up)) as running:
        running.wait_for("starting bitcoind")
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 0, running.err.read_text()
    assert running.lines[-1] == "ended before all was up"


@pytest.mark.real
def test_it_says_so_when_the_daemon_dies(stack_cache: fetch.Parts, tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.wait_for("all is up")
        (daemon,) = [
            pid
            for pid, command in running.children().items()
            if command.endswith(" run ") and os.getpgid(pid) == pid  # and no child of it on its way to exec
        ]
        os.kill(daemon, signal.SIGKILL)
        assert running.end() == 1
    assert re.fullmatch(r"demo: the daemon ended with -9: .*\n", running.err.read_text())


def test_it_says_in_a_line_why_nothing_can_be_fetched(tmp_path: Path) -> None:
    with demo(tmp_path, BITCOIND="/nowhere", ELECTRUMX="/bin/true") as running:
        assert running.end() == 1
    assert running.err.read_text() == "demo: BITCOIND names no executable file: /nowhere\n"


def test_seconds_that_are_no_number_are_a_usage_error(tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="soon") as running:
        assert running.end() == 2
    assert running.err.read_text().startswith("demo: DEMO_SECONDS is a number of seconds")
