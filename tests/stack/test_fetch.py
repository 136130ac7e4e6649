"""Where the real parts come from, without fetching them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import debian, kept


def fetch_main(variables: dict[str, str], cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.stack.fetch"],
        env={**os.environ, "XDG_CACHE_HOME": str(cache), **variables},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_variable_replaces_each_part(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    assert (
        fetch_main({"BITCOIND": str(mine), "ELECTRUMX": str(mine)}, tmp_path).stdout.split()
        == [str(mine)] * 2
    )


def test_a_variable_that_names_nothing_is_an_error_and_nothing_is_fetched(tmp_path: Path) -> None:
    failed = fetch_main({"BITCOIND": "/nowhere", "ELECTRUMX": "/bin/true"}, tmp_path)
    assert failed.returncode == 1
    assert failed.stderr == "BITCOIND names no executable file: /nowhere\n"
    assert not (tmp_path / "treasury-watcher").exists()


def test_a_step_that_fails_once_is_tried_again_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept, "_PAUSE_SECONDS", 0.0)
    tries: list[Path] = []

    def build(folder: Path, log: Path) -> None:
        tries.append(folder)
        (folder / f"half {len(tries)}").touch()
        kept.run(["false" if len(tries) == 1 else "true"], log, "a download")

    made = kept.cached("part", build)
    assert len(tries) == 2
    assert [path.name for path in made.iterdir()] == ["half 2"]
    assert kept.cached("part", build) == made
    assert sorted(path.name for path in made.parent.iterdir()) == ["part", "part.lock", "part.log"]


def test_one_that_fails_always_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept, "_PAUSE_SECONDS", 0.0)

    def build(_: Path, log: Path) -> None:
        kept.run(["false"], log, "a download")

    with pytest.raises(kept.FetchError, match="a download failed with 1"):
        kept.cached("part", build)
    assert sorted(path.name for path in kept.cache().iterdir()) == ["part.lock", "part.log"]


_BUILDS_SLOWLY = """\
import pathlib, sys, time
from tests.stack import kept
def build(folder, log):
    with log.open("a") as built:
        built.write("built\\n")
    time.sleep(1)
    (folder / "whole").touch()
assert (kept.cached("part", build) / "whole").exists()
"""


def test_two_workers_that_fetch_at_once_build_it_once(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _BUILDS_SLOWLY]
    workers = [subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.PIPE) for _ in range(2)]
    said = [worker.communicate(timeout=180)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert (tmp_path / "treasury-watcher/part.log").read_text() == "built\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "sources.list",
            "# deb http://no/debian a main\ndeb [arch=amd64 x=y] http://m.example/debian a main\n",
        ),
        (
            "sources.list.d/debian.sources",
            """\
Types: deb
URIs: http://s.example/debian-security
Suites: a-security

# URIs: http://no.example/debian
Types: deb
URIs: http://m.example/debian
Suites: a a-updates
""",
        ),
        (
            "sources.list.d/d.list",
            "deb http://security.debian.org a/updates main\ndeb http://m.example/debian a main",
        ),
    ],
)
def test_the_mirror_is_the_machines_own(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/vendor.list").write_text("deb https://vendor.example/apt stable main\n")
    (tmp_path / name).write_text(text)
    assert debian.debian_mirror(tmp_path) == "http://m.example/debian"


def test_without_a_mirror_it_says_how_to_do_without(tmp_path: Path) -> None:
    with pytest.raises(kept.FetchError, match="BITCOIND="):
        debian.debian_mirror(tmp_path)
