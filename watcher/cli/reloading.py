"""`watcher reload`."""

from __future__ import annotations

import os
import tomllib
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watcher.cli.failures import ExitCode, Failure, NoAnswer
from watcher.cli.from_daemon import value
from watcher.cli.setup import pass_setup
from watcher.web.client import DaemonError, find_daemon

if TYPE_CHECKING:
    from watcher.cli.setup import Setup
    from watcher.web.client import Daemon


@click.command()
@click.option("--reason", metavar="R", help="Why, for the record.")
@click.option("--by", metavar="WHO", help="Who, for the record.")
@pass_setup
def reload(setup: Setup, *, reason: str | None, by: str | None) -> None:
    """Let the daemon read its config again, and wait for the verdict.

    All or nothing: where the config has errors they are shown, and the daemon goes on with the old one.
    """
    daemon = _daemon(setup)
    if daemon is None:
        raise setup.no_daemon()
    try:
        reply = daemon.post("/api/v1/reload", {"reason": reason, "by": by})
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise Failure(ExitCode.USAGE, *map(str, reply.json()["errors"]))
        value(reply)
    except DaemonError as error:
        raise NoAnswer(str(error)) from None
    click.echo("reloaded")


def _daemon(setup: Setup) -> Daemon | None:
    """The daemon of this config, also where the config has become wrong: it says so itself, and counts it."""
    try:
        return setup.daemon
    except Failure:
        state = _state_as_written(setup.path)
        daemon = None if state is None else find_daemon(state, os.environ)
        if daemon is None:
            raise
        return daemon


def _state_as_written(path: Path) -> Path | None:
    """The state directory that a config names, whatever else is wrong with it."""
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8")).get("state_directory")
    except (OSError, ValueError):
        written = None
    if isinstance(written, str):
        return path.parent / written
    inherited = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(inherited) if inherited else None
