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
LATEST = 60.0  # to be up, on a busy machine
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

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + LATEST
        while text not in self.out.read_text():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.out.read_text()
            time.sleep(0.05)

    def children(self) -> dict[int, str]:
        """Every living process that works in our folder: the node, the server, the daemon, the fetching."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_text().replace("\0", " ")
                if str(self.scratch) in command + (entry / "environ").read_text():
                    found[int(entry.name)] = command
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or is not ours
        return found

    def end(self, within: float) -> int:
        code = self.process.wait(timeout=within)
        assert self.children() == {}
        assert list(self.scratch.iterdir()) == []
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
def test_it_shows_everything_once_and_ends_by_itself(stack_cache: fetch.Parts, tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="40") as running:
        running.wait_for("all is up")
        assert len(running.children()) >= 4  # else what follows could not fail
        code = running.end(within=40 + 10)
        assert code == 0, running.err.read_text()
    lines = running.lines
    missing = [kind for kind in SHOWN if not any(re.match(rf"{kind}\b", line) for line in lines)]
    assert missing == []
    assert any(line.endswith("/metrics") and "http://127.0.0.1:" in line for line in lines)
    assert sum("scantxoutset says the same" in line for line in lines) == 2
    assert any(re.fullmatch(r"\d+ webhooks verified, 0 refused, 0 missing", line) for line in lines)
    assert any(line.startswith("verify ended with 0") for line in lines)
    assert "\x1b" not in running.out.read_text()
    assert running.err.read_text() == ""


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_ten_seconds(
    stack_cache: fetch.Parts, tmp_path: Path, number: signal.Signals
) -> None:
    with demo(tmp_path) as running:
        running.wait_for("tx.seen inflow")
        os.killpg(running.process.pid, number)
        assert running.end(within=10) == 0, running.err.read_text()
    assert running.err.read_text() == ""


@pytest.mark.real
def test_a_signal_ends_it_while_it_starts(stack_cache: fetch.Parts, tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.wait_for("starting bitcoind")
        running.process.send_signal(signal.SIGINT)
        assert running.end(within=10) == 0, running.err.read_text()
    assert running.lines[-1] == "ended before all was up"


@pytest.mark.real
def test_it_says_so_when_the_daemon_dies(stack_cache: fetch.Parts, tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.wait_for("all is up")
        (daemon,) = [
            pid for pid, command in running.children().items() if " run" in command and "watcher" in command
        ]
        os.kill(daemon, signal.SIGKILL)
        assert running.end(within=10) == 1
    assert re.fullmatch(r"demo: the daemon ended with -9: .*\n", running.err.read_text())


def test_it_says_in_a_line_why_nothing_can_be_fetched(tmp_path: Path) -> None:
    with demo(tmp_path, BITCOIND="/nowhere", ELECTRUMX="/bin/true") as running:
        assert running.end(within=LATEST) == 1
    assert running.err.read_text() == "demo: BITCOIND names no executable file: /nowhere\n"


def test_seconds_that_are_no_number_are_a_usage_error(tmp_path: Path) -> None:
    with demo(tmp_path, DEMO_SECONDS="soon") as running:
        assert running.end(within=LATEST) == 2
    assert running.err.read_text().startswith("demo: DEMO_SECONDS is a number of seconds")
