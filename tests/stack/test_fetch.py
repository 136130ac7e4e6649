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
        timeout=60,
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
