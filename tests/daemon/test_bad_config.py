"""What is wrong with a config is said at once, where it stands, by `check` as by `run`; nothing is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, BETA, Place, address
from watcher.bitcoin.networks import Network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = {"home": "tcp://127.0.0.1:9"}


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def swapped(old: str, new: str) -> Callable[[str], tuple[str, str]]:
    def bend(text: str) -> tuple[str, str]:
        assert old in text
        return text.replace(old, new, 1), new.splitlines()[0]

    return bend


MISTYPED = address(ALPHA)[:-1] + ("q" if address(ALPHA)[-1] != "q" else "p")
HOST = "has a host with an empty part"
MAIL = '''url = "smtps://mail..example"
kind = "email"
from = "watch@ops.example"
to = "ana@ops.example"'''
FIAT = """fiat.url = "https://prices..example/api"
fiat.currency = "USD"
fiat.kind = "mempool"
[http]"""
ONE_MORE = f'label = "main"\n[[treasuries.watch]]\naddress = "{address(ALPHA)}" # again'


@pytest.mark.parametrize(
    ("bend", "key", "words"),
    [
        (swapped(address(ALPHA), MISTYPED), "treasuries[0].watch[0].address", "checksum"),
        (
            swapped(address(BETA), address(BETA, Network.MAINNET)),
            "treasuries[1].watch[0].address",
            "mainnet",
        ),
        (swapped('reread = "2s"', 'rereed = "2s"'), "timing.rereed", 'did you mean "reread"?'),
        (swapped('on = ["any"', 'on = ["anny"'), "rules[0].on", "any"),
        (swapped('send_to = ["ops"]', 'send_to = ["opps"]'), "rules[0].send_to", '"ops"'),
        (swapped('url = "http://127.0.0.1:9"', 'url = "http://hooks..example/x"'), "endpoints[0].url", HOST),
        (
            swapped('kind = "webhook"\nurl = "http://127.0.0.1:9"\nsecret_file = "ops.secret"', MAIL),
            "endpoints[0].url",
            HOST,
        ),
        (swapped("[http]", FIAT), "fiat.url", HOST),
        (swapped("[http]", f'heartbeat.url = "https://{"a" * 64}.example"\n[http]'), "heartbeat.url", HOST),
        (swapped("[http]", 'include = ["."]\n[http]'), "include[0]", "not a file or a pattern"),
        (
            swapped(f'address = "{address(BETA)}"', 'addresses_file = "a\\u0000"'),
            "treasuries[1].watch[0].addresses_file",
            "cannot be read",
        ),
    ],
)
async def test_an_error_is_one_line_with_file_line_and_key(
    bend: Callable[[str], tuple[str, str]], key: str, words: str, tmp_path: Path
) -> None:
    text, where = bend(Place(tmp_path, NOBODY).config())
    daemon = Place(tmp_path, NOBODY).daemon(text)
    done = await daemon.command("check")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"watcher: {daemon.path}:{line_of(text, where)}: {key}")
    assert words in done.err


async def test_a_testnet_address_on_mainnet_is_named_as_such(tmp_path: Path) -> None:
    place = Place(tmp_path, NOBODY)
    text = place.config().replace('network = "regtest"', 'network = "mainnet"')
    text = text.replace(address(ALPHA), address(ALPHA, Network.TESTNET3))
    text = text.replace(address(BETA), address(BETA, Network.MAINNET))
    done = await place.daemon(text).command("check")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"watcher.toml:{line_of(text, 'address = ')}: treasuries[0].watch[0].address" in done.err
    assert "testnet" in done.err


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        (f'address = "{address(BETA)}"', f'address = "{address(ALPHA)}" # again', "alpha"),
        ('label = "main"', ONE_MORE, "alpha"),
    ],
    ids=["in two treasuries", "twice in one"],
)
async def test_an_address_given_twice_is_an_error_that_names_the_other_place(
    old: str, new: str, first: str, tmp_path: Path
) -> None:
    place = Place(tmp_path, NOBODY)
    text = place.config().replace(old, new)
    daemon = place.daemon(text)
    done = await daemon.command("check")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"watcher.toml:{line_of(text, '# again')}: treasuries[" in done.err
    assert f"watcher.toml:{line_of(text, address(ALPHA))}" in done.err.partition("address: ")[2]


async def test_what_is_no_error_and_hardly_meant_is_said(tmp_path: Path) -> None:
    place = Place(tmp_path, NOBODY)
    tmp_path.joinpath("none.csv").write_text("address,label\n")
    text = place.config().replace('label = "main"', 'label = "main"\npublished = 2924-03-14')
    text = text.replace(f'address = "{address(BETA)}"', 'addresses_file = "none.csv"')
    daemon = place.daemon(text)
    done = await daemon.command("check")
    assert (done.code, done.err) == (0, "")
    empty = (
        f"{daemon.path}:{line_of(text, 'none.csv')}: treasuries[1].watch[0].addresses_file: "
        f"{tmp_path}/none.csv has a header and no address"
    )
    assert f"\nnote: {empty}\n" in done.out
    assert "\n  note: published 2924-03-14, which is still to come (1)\n" in done.out
    async with daemon:
        assert f'msg="{empty}"' in daemon.child.log.read_text()
        assert (await daemon.command("reload")).code == 0
        assert daemon.child.log.read_text().count(empty) == 2


async def test_all_errors_are_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    place = Place(tmp_path, NOBODY)
    text = place.config(extra="\n[extra]\n").replace(address(ALPHA), MISTYPED)
    text = text.replace('reread = "2s"', 'reread = "soon"').replace('kind = "electrum"', 'kind = "electron"')
    done = await place.daemon(text).command("run")
    lines = done.err.splitlines()
    assert done.code == 2
    assert len(lines) == 4
    numbers = [int(line.split("watcher.toml:")[1].split(":")[0]) for line in lines]
    wrong = ("soon", "electron", MISTYPED, "[extra]")
    assert numbers == [line_of(text, part) for part in wrong]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("command", ["check", "run", "status", "history", "verify", "redeliver"])
async def test_a_config_that_is_not_there_is_2_for_every_command(command: str, tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    daemon.path.unlink()
    operands = {"history": ["alpha"], "redeliver": ["1"]}.get(command, [])
    done = await daemon.command(command, *operands)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"watcher: {daemon.path}: cannot be read: No such file or directory\n"


async def test_a_folder_wrong_bytes_and_wrong_syntax_are_told_apart(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    daemon.path.write_bytes(daemon.config.encode() + b'\n[log]\nformat = "\xff"\n')
    done = await daemon.command("check")
    lines = daemon.config.count("\n") + 3
    assert (done.code, done.err) == (2, f"watcher: {daemon.path}:{lines}: is not UTF-8\n")
    daemon.path.write_text('network = "regtest"\n[http\n')
    done = await daemon.command("check")
    assert done.code == 2
    assert done.err.startswith(f"watcher: {daemon.path}:2: not TOML: ")
    daemon.path.unlink()
    daemon.path.mkdir()
    done = await daemon.command("check")
    assert (done.code, done.err) == (2, f"watcher: {daemon.path}: cannot be read: Is a directory\n")


@pytest.mark.parametrize("command", ["run", "check"])
async def test_a_missing_secret_is_named_with_its_place_and_nothing_is_made(
    command: str, tmp_path: Path
) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    (tmp_path / "ops.secret").unlink()
    done = await daemon.command(command)
    line = line_of(daemon.config, "secret_file")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"watcher: {daemon.path}:{line}: endpoints[0].secret_file: ")
    assert "ops.secret: No such file" in done.err
    assert not (tmp_path / "state").exists()


async def test_a_bad_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    (tmp_path / "ops.secret").write_text("hunter2-is-no-signing-secret")
    done = await daemon.command("run")
    assert done.code == 2
    assert "whsec_" in done.err
    assert "hunter2" not in done.err


async def test_a_right_config_shows_what_it_watches(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    done = await daemon.command("check")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{daemon.path}: valid, regtest, state in {tmp_path}/state",
        "treasury alpha: 1 script, third_party",
        f"  {address(ALPHA)}  (main)",
        "treasury beta: 1 script, third_party",
        f"  {address(BETA)}",
        "source home: electrum",
        "endpoint ops: webhook",
        "second opinion: bitcoinlib reads the addresses as we do",
    ]
    assert not (tmp_path / "state").exists()


async def test_check_says_who_published_what_is_watched(tmp_path: Path) -> None:
    place = Place(tmp_path, NOBODY)
    said = 'by = "The owner"\nsource = "https://a.example"\nread = 2026-11-24\nlicence = "CC0"\n'
    config = place.config().replace('label = "main"\n', f'label = "main"\npublished = 2024-03-14\n{said}', 1)
    done = await place.daemon(config).command("check")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[3] == (
        "  1 of 1: published 2024-03-14, by The owner, https://a.example, read 2026-11-24, licence: CC0"
    )
