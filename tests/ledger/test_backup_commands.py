"""`watcher backup` and `watcher restore`, as an operator types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from tests.ledger.story import Story, open_eye
from tests.walks.world import script
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.cli.backups import backup, restore
from watcher.cli.failures import ExitCode, Failure
from watcher.ledger.backup import last_backup
from watcher.ledger.opening import create_or_open, path_in
from watcher.service.lock import locked

if TYPE_CHECKING:
    from pathlib import Path

    import click

CONFIG = f"""
network = "regtest"
state_directory = "state"
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:1"
[[treasuries]]
name = "alpha"
title = "The first"
[[treasuries.watch]]
address = "{encode_address(script("alpha 0"), Network.REGTEST)}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config and the ledger of its state directory."""
    (tmp_path / "watcher.toml").write_text(CONFIG)
    (tmp_path / "state").mkdir()
    story = Story(2)
    eye = open_eye(tmp_path / "state", story)
    for _ in range(10):
        story.advance()(eye)
    eye.close()
    return tmp_path


def run(command: click.Command, folder: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(
        command, [str(a) for a in arguments], obj=folder / "watcher.toml", standalone_mode=False
    )


def failure(result: Result) -> tuple[ExitCode, str]:
    assert isinstance(result.exception, Failure)
    return result.exception.code, str(result.exception)


def test_a_backup_is_made_and_restored(folder: Path) -> None:
    made = run(backup, folder, folder / "backups" / "monday")
    assert made.exception is None
    manifest = json.loads((folder / "backups" / "monday" / "manifest.json").read_bytes())
    assert f"log {manifest['log']} up to event {manifest['sequence']}" in made.output
    assert last_backup(folder / "state") is not None
    restored = run(restore, folder, folder / "backups" / "monday", "--into", folder / "new")
    assert restored.exception is None
    assert f"log {manifest['log']} up to event {manifest['sequence']}, as log " in restored.output
    create_or_open(folder / "new", Network.REGTEST, 0).close()


def test_only_the_owner_may_read_what_was_copied(folder: Path) -> None:
    run(backup, folder, folder / "backup")
    run(restore, folder, folder / "backup", "--into", folder / "new")
    paths = [folder / "backup", *(folder / "backup").iterdir(), path_in(folder / "new")]
    assert [path.stat().st_mode & 0o077 for path in paths] == [0] * 4


def test_without_a_ledger_nothing_is_backed_up(folder: Path) -> None:
    path_in(folder / "state").unlink()
    code, why = failure(run(backup, folder, folder / "backup"))
    assert code == ExitCode.LEDGER
    assert why == f"no ledger at {path_in(folder / 'state')}"
    assert not (folder / "backup").exists()


def test_what_is_in_the_way_is_the_operators_to_move(folder: Path) -> None:
    run(backup, folder, folder / "backup")
    assert failure(run(backup, folder, folder / "backup"))[0] == ExitCode.USAGE
    code, why = failure(run(restore, folder, folder / "backup", "--into", folder / "state"))
    assert code == ExitCode.USAGE
    assert "holds a ledger" in why


def test_nothing_is_restored_under_a_running_daemon(folder: Path) -> None:
    run(backup, folder, folder / "backup")
    (folder / "new").mkdir()
    with locked(folder / "new" / "lock"):
        code, why = failure(run(restore, folder, folder / "backup", "--into", folder / "new"))
    assert code == ExitCode.LEDGER
    assert "locked by another watcher" in why


def test_what_is_no_backup_is_not_restored(folder: Path) -> None:
    code, why = failure(run(restore, folder, folder / "state", "--into", folder / "new"))
    assert code == ExitCode.LEDGER
    assert "no backup at" in why
