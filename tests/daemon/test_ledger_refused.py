"""A ledger that cannot be used is refused with 3 and a reason, and is left as it was."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import Place, fresh
from tests.stack.daemon import Daemon, Outcome
from tests.stack.processes import free_port
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import create_or_open, path_in

if TYPE_CHECKING:
    from tests.toy.electrum import ToyElectrum

ROOT = Path(__file__).parents[2]
NOBODY = {"home": "tcp://127.0.0.1:9"}
ASKING = (["status"], ["status", "--check"], ["history", "alpha"], ["events"], ["deliveries"], ["verify"])


def with_ledger(folder: Path, network: Network = Network.REGTEST) -> tuple[Daemon, Path]:
    """A daemon that does not run, and the ledger that an earlier one left behind."""
    state = folder / "state"
    state.mkdir()
    create_or_open(state, network, 0).close()
    return Place(folder, NOBODY).daemon(), path_in(state)


def without_privileges(daemon: Daemon, *words: str) -> Outcome:
    """The command as a user to whom file modes apply, which they do not to root with its capabilities."""
    bound = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*bound, sys.executable, "-m", "watcher", "--config", daemon.path, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


async def refused(daemon: Daemon, *words: str) -> str:
    """The one line with which a command ends with 3."""
    done = await daemon.command(*words)
    assert (done.code, done.out) == (3, ""), done
    last = done.err.splitlines()[-1]
    assert last.startswith("watcher: ")
    assert "Traceback" not in done.err
    return last


async def test_without_a_ledger_those_that_only_read_say_so_and_make_none(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    for words in ASKING:
        assert await refused(daemon, *words) == f"watcher: no ledger at {tmp_path}/state/ledger.sqlite"
    assert not (tmp_path / "state").exists()


async def test_a_newer_ledger_is_refused_with_what_to_do(tmp_path: Path) -> None:
    daemon, ledger = with_ledger(tmp_path)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for words in (["run"], ["status"], ["verify"]):
        said = await refused(daemon, *words)
        assert "newer version" in said
        assert "99" in said
        assert "run that version" in said
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


async def test_a_ledger_of_another_network_is_refused(tmp_path: Path) -> None:
    daemon, ledger = with_ledger(tmp_path, Network.SIGNET)
    for words in (["run"], ["history", "alpha"]):
        said = await refused(daemon, *words)
        assert said == f"watcher: {ledger} is a ledger of signet, and the config says regtest"


@pytest.mark.parametrize("damage", ["no database", "a page of zeros"])
async def test_a_corrupt_ledger_is_refused_and_kept(damage: str, tmp_path: Path) -> None:
    daemon, ledger = with_ledger(tmp_path)
    whole = ledger.read_bytes()
    torn = (
        b"not a database at all, " * 500
        if damage == "no database"
        else whole[:4096] + bytes(len(whole) - 4096)
    )
    ledger.write_bytes(torn)
    for words in (["run"], ["status"]):
        said = await refused(daemon, *words)
        assert str(ledger) in said
        assert "corrupt" in said
        assert "backup" in said
    assert sha256(ledger.read_bytes()).digest() == sha256(torn).digest()


async def test_a_folder_in_the_ledgers_place_is_refused(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    (tmp_path / "state" / "ledger.sqlite").mkdir(parents=True)
    for words in (["run"], ["status"]):
        assert f"{tmp_path}/state/ledger.sqlite" in await refused(daemon, *words)


async def test_a_file_in_the_state_directorys_place_is_refused(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    (tmp_path / "state").write_text("")
    assert f"{tmp_path}/state: File exists" in await refused(daemon, "run")
    assert "ledger.sqlite" in await refused(daemon, "status")


async def test_a_state_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    daemon = Place(tmp_path, NOBODY).daemon()
    (tmp_path / "state").mkdir(mode=0o500)
    done = without_privileges(daemon, "run")
    assert (done.code, done.out) == (3, "")
    assert f"{tmp_path}/state/lock: Permission denied; the user that runs this (uid " in done.err
    assert list((tmp_path / "state").iterdir()) == []


async def test_a_companion_that_may_not_be_written_is_refused_and_named(tmp_path: Path) -> None:
    daemon, ledger = with_ledger(tmp_path)
    end = ledger.with_name("ledger.sqlite.end")
    end.touch(mode=0o400)
    done = without_privileges(daemon, "run")
    assert (done.code, done.out) == (3, "")
    assert f"{end} cannot be used: Permission denied" in done.err


async def test_a_ledger_this_user_may_not_read_is_no_absent_one(tmp_path: Path) -> None:
    daemon, ledger = with_ledger(tmp_path)
    ledger.chmod(0)
    for words in (["status"], ["verify"]):
        done = without_privileges(daemon, *words)
        assert (done.code, done.out) == (3, "")
        assert done.err.startswith(f"watcher: {ledger} may not be read by this user")
    ledger.parent.chmod(0)
    done = without_privileges(daemon, "status")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "may not be read by this user" in done.err
    ledger.parent.chmod(0o700)


async def test_who_may_not_speak_to_the_daemon_is_not_told_that_none_runs(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        control = tmp_path / "state" / "control.sock"
        control.chmod(0)
        for words in (["reload"], ["redeliver", "1"], ["endpoints", "test", "ops"]):
            done = without_privileges(daemon, *words)
            assert (done.code, done.out) == (1, "")
            assert done.err.startswith("watcher: no daemon runs that this user may speak to: ")
            assert f"{control} may not be opened" in done.err


async def test_who_may_not_read_the_ledger_asks_the_running_daemon(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        ledger = path_in(tmp_path / "state")
        assert ledger.stat().st_mode & 0o777 == 0o600
        ledger.chmod(0)
        for words in (["status"], ["history", "alpha"], ["events"]):
            done = without_privileges(daemon, *words)
            assert (done.code, done.err) == (0, "")
            assert "alpha" in done.out or words[0] == "history"
        assert without_privileges(daemon, "verify").code == 3


async def test_a_second_instance_is_refused_and_the_first_is_unharmed(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        said = await refused(daemon, "run")
        assert "locked by another watcher" in said
        assert str(daemon.child.pid) in said
        assert await daemon.ready()
        status = await daemon.command("status")
        assert (status.code, "Active: running" in status.out) == (0, True)
        assert await daemon.terminate() == 0


async def test_a_listen_address_in_use_is_4_and_named(toy: ToyElectrum, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    first = Place(tmp_path / "first", {"home": toy.url})
    second = Place(tmp_path / "second", {"home": toy.url})
    async with first.daemon(first.config(listen=listen)) as daemon:
        done = await second.daemon(second.config(listen=listen)).command("run")
        assert (done.code, done.out) == (4, "")
        assert done.err.splitlines()[-1] == f"watcher: cannot listen at {listen}: Address already in use"
        assert "Traceback" not in done.err
        assert await daemon.ready()
