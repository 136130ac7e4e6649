"""`watcher backup` and `watcher restore`."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watcher import __version__
from watcher.cli.failures import ExitCode, Failure
from watcher.cli.running import LOCK
from watcher.cli.setup import pass_setup
from watcher.ledger.backup import OccupiedError, check_vacant, note_backup
from watcher.ledger.backup import backup as copy_ledger
from watcher.ledger.backup import restore as restore_ledger
from watcher.ledger.opening import LedgerUnusableError
from watcher.service.lock import LockedError, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watcher.cli.setup import Setup


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@pass_setup
def backup(setup: Setup, path: Path) -> None:
    """Copy the ledger, as of one moment, into the new or empty directory PATH.

    The daemon may run meanwhile. PATH then holds `ledger.sqlite` and `manifest.json`, which says what is in
    it and gives its SHA-256. A backup never overwrites another one: name each by its day.
    """
    os.umask(0o077)
    with setup.ledger() as ledger, _refused():
        made = copy_ledger(ledger, path, now_ms=time.time_ns() // 1_000_000, program=__version__)
    click.echo(
        f"{path}: log {made.log} up to event {made.sequence}, {made.bytes} bytes, sha256 {made.sha256}"
    )
    try:
        note_backup(setup.config.state_directory)
    except OSError as error:
        click.echo(f"watcher: the metrics will not tell of this backup: {error}", err=True)


@click.command()
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path))
@click.option("--into", "state", metavar="STATE", required=True, type=click.Path(path_type=Path))
def restore(source: Path, state: Path) -> None:
    """Make the backup in the directory FROM the ledger of the state directory STATE, which has none.

    The restored ledger is a new log: cursors of the old one are answered 410. What has happened since the
    backup is read from the chain again when the daemon runs, with the ids it had before.
    """
    os.umask(0o077)
    with _refused():
        check_vacant(state)
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
        with locked(state / LOCK):
            restored = restore_ledger(source, state)
    old = restored.manifest
    click.echo(
        f"{state}: restored the backup of {old.created}, log {old.log} up to event {old.sequence}, "
        f"as log {restored.log}"
    )


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except OccupiedError as error:
        raise Failure(ExitCode.USAGE, str(error)) from error
    except (LedgerUnusableError, LockedError) as error:
        raise Failure(ExitCode.LEDGER, str(error)) from error
