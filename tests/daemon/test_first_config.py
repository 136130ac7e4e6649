"""`watcher init` writes a config that works, asks before it tells strangers, and overwrites nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.daemon.places import ALPHA, address, events_are
from tests.stack.daemon import Daemon
from tests.stack.processes import free_port
from watcher.bitcoin.networks import Network
from watcher.config.load import catalogue

if TYPE_CHECKING:
    from tests.toy.electrum import ToyElectrum

ROOT: Final = Path(__file__).parents[2]
OWN: Final = address(ALPHA, Network.MAINNET)
# the first key of BIP 84's test vectors
ZPUB: Final = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2"
    "oz2AGutZYs"
)


def watcher(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command does in that folder."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "watcher", "--config", "watcher.toml", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_treasury_of_the_catalogue_makes_a_config_that_is_valid(tmp_path: Path, name: str) -> None:
    made = watcher(tmp_path, "init", "--treasury", name)
    assert made.returncode == 0, made.stderr
    checked = watcher(tmp_path, "check")
    assert checked.returncode == 0, checked.stderr
    assert f"treasury {name}: " in checked.stdout


def test_the_first_one_asks_two_who_are_independent_and_says_what_they_learn(tmp_path: Path) -> None:
    made = watcher(tmp_path, "init")
    config = tomllib.loads((tmp_path / "watcher.toml").read_text())
    assert config["catalogue"] == ["el-salvador"]
    assert len(config["sources"]) >= 2
    assert made.stdout.count("learns which addresses you ask for") == len(config["sources"])
    assert "watcher --config watcher.toml run" in made.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "watcher.toml").write_text("mine")
    again = watcher(tmp_path, "init")
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "is there already" in again.stderr
    assert (tmp_path / "watcher.toml").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["watcher.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--address", OWN], "a public server would learn your addresses"),
        (["--xpub", ZPUB], "a public server would learn your addresses"),
        (["--address", OWN, "--source", "ssl://blockstream.info:700"], "blockstream is a public server"),
        (["--treasury", "el-salvadro"], 'did you mean "el-salvador"?'),
        (["--treasury", "ukraine", "--address", OWN], "give one of"),
        (["--network", "regtest"], "no public server of regtest"),
        (["--address", OWN, "--tor", "--source", "tcp://192.168.1.5:50001"], "--tor: "),
        (["--address", "1abc", "--source", "tcp://127.0.0.1:1"], "--address: "),
        (["--address", OWN, "--source", "gopher://127.0.0.1:1"], "--source: "),
        (["--address", OWN, "--network", "signet", "--source", "tcp://h:1"], "--address: "),
    ],
)
def test_what_cannot_work_is_not_written(tmp_path: Path, words: list[str], said: str) -> None:
    refused = watcher(tmp_path, "init", *words)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_private_key_is_refused_and_not_repeated(tmp_path: Path) -> None:
    # the first of BIP 32's test vectors
    key = (
        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33"
        "yuGBxrMPHi"
    )
    refused = watcher(tmp_path, "init", "--xpub", key, "--source", "tcp://127.0.0.1:1")
    assert refused.returncode == 2
    assert key not in refused.stderr + refused.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [["--xpub", ZPUB], ["--xpub", f"addr({OWN})"], ["--address", OWN]])
def test_own_coins_are_asked_for_at_an_own_server(tmp_path: Path, form: list[str]) -> None:
    made = watcher(tmp_path, "init", *form, "--source", "tcp://127.0.0.1:50001")
    assert made.returncode == 0, made.stderr
    (source,) = tomllib.loads((tmp_path / "watcher.toml").read_text())["sources"]
    assert source["trusted"] is True
    assert stat.S_IMODE((tmp_path / "watcher.toml").stat().st_mode) & 0o007 == 0
    assert watcher(tmp_path, "check").returncode == 0


def test_through_tor_nobody_learns_where_we_are(tmp_path: Path) -> None:
    made = watcher(tmp_path, "init", "--tor")
    assert made.returncode == 0, made.stderr
    sources = tomllib.loads((tmp_path / "watcher.toml").read_text())["sources"]
    assert {source["proxy"] for source in sources} == {"socks5h://127.0.0.1:9050"}
    assert "your network address" not in made.stdout
    assert watcher(tmp_path, "check").returncode == 0


def test_whoever_says_yes_may_tell_strangers(tmp_path: Path) -> None:
    assert watcher(tmp_path, "init", "--address", OWN, "--yes").returncode == 0
    sources = tomllib.loads((tmp_path / "watcher.toml").read_text())["sources"]
    assert not any(source.get("trusted") for source in sources)


async def test_the_written_config_runs(toy: ToyElectrum, tmp_path: Path) -> None:
    words = ["--address", address(ALPHA), "--network", "regtest", "--source", toy.url]
    assert watcher(tmp_path, "init", *words).returncode == 0
    text = (tmp_path / "watcher.toml").read_text().replace("127.0.0.1:9342", f"127.0.0.1:{free_port()}")
    toy.chain.pay(ALPHA, 7_000)
    async with Daemon(text, tmp_path, environment={"HOME": str(tmp_path)}) as daemon:
        await events_are(daemon, 1)
        assert {event["data"]["treasury"] for event in await daemon.events()} == {"own"}


def test_the_schema_is_the_committed_one(tmp_path: Path) -> None:
    told = watcher(tmp_path, "schema")
    assert json.loads(told.stdout) == json.loads((ROOT / "config/schema.json").read_text())
