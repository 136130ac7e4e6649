"""How the command line behaves before it does anything."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "check", "status", "history", "events", "deliveries", "redeliver", "verify", "secret")


def watcher(*words: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "watcher", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_help_names_every_command_and_the_exit_codes() -> None:
    done = watcher("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = done.stdout.split("Commands:")[1]
    assert all(f"\n  {command} " in listed for command in COMMANDS)
    assert "Exit codes: 0 fine" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_without_a_config(command: str) -> None:
    done = watcher("--config", "/nowhere", command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: watcher {command}")


@pytest.mark.parametrize("words", [["--help"], ["secret"], ["--version"]])
def test_what_needs_no_config_loads_none(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "watcher", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "watcher.cli" in loaded
    assert not loaded & {"pydantic", "aiohttp", "rich", "sqlite_utils", "apscheduler", "watcher.app.daemon"}


def test_a_secret_is_fresh_and_of_the_standards_form() -> None:
    one, two = watcher("secret").stdout, watcher("secret").stdout
    assert one != two
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_").strip(), validate=True)) == 32


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["statsu"], 'did you mean "status"?'),
        (["\x1b[31m"], r"'\x1b[31m'"),
        (["status", "--jsn"], "--jsn"),
        (["history"], "TREASURY"),
        (["history", "alpha", "--format", "xml"], "xml"),
        (["events", "--after", "nonsense"], "--after"),
        (["deliveries", "--state", "lost"], "lost"),
    ],
)
def test_wrong_usage_is_one_line_and_2(words: list[str], says: str) -> None:
    done = watcher(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("watcher: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_no_command_at_all_shows_the_help_and_is_2() -> None:
    done = watcher()
    assert done.returncode == 2
    assert "Commands:" in done.stderr


def test_output_that_cannot_be_written_is_not_passed_over() -> None:
    with Path("/dev/full").open("w") as full:
        done = watcher("secret", stdout=full.fileno())
    assert done.returncode == 4
    last = done.stderr.splitlines()[-1]
    assert last.startswith("watcher: unexpected OSError: No space left on device; please report it")
