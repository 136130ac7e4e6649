"""What every command begins with: the config, and the daemon or the ledger it speaks of."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from watcher.cli.failures import ExitCode, Failure
from watcher.cli.from_daemon import DaemonRecords
from watcher.cli.from_ledger import LedgerRecords
from watcher.config.errors import ConfigErrors
from watcher.config.load import load_config
from watcher.ledger.opening import LedgerUnusableError, open_existing, path_in
from watcher.ledger.sqlite import driver
from watcher.web.client import find_daemon
from watcher.web.sockets import control_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from watcher.cli.records import Records
    from watcher.config.errors import ConfigError
    from watcher.config.settings import Config
    from watcher.web.client import Daemon


P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Setup:
    """The config file as named; nothing is read before a command needs it. Errors are `Failure`s."""

    path: Path

    @cached_property
    def config(self) -> Config:
        """The config."""
        try:
            return load_config(self.path, environ=os.environ)
        except ConfigErrors as found:
            raise config_failure(found.errors) from None

    @cached_property
    def daemon(self) -> Daemon | None:
        """The daemon of this state directory, if one runs."""
        return find_daemon(self.config.state_directory, os.environ)

    def no_daemon(self) -> Failure:
        """What to say where there is none to ask; one may run, and not let this user in."""
        path = control_path(self.config.state_directory, os.environ)
        if _accessible(path, os.W_OK):
            return Failure(ExitCode.DOES_NOT_HOLD, "no daemon runs")
        who = f"{path} may not be opened: be the daemon's, or of its group"
        return Failure(ExitCode.DOES_NOT_HOLD, f"no daemon runs that this user may speak to: {who}")

    @contextmanager
    def records(self) -> Iterator[Records]:
        """What is recorded: by the daemon's word, else by the ledger itself."""
        if self.daemon is not None:
            yield DaemonRecords(self.daemon)
            return
        with self.ledger() as connection:
            yield LedgerRecords(connection, self.config)

    @contextmanager
    def ledger(self, *, whole: bool = False) -> Iterator[sqlite3.Connection]:
        """The ledger, read-only; `whole` looks at every page of it first."""
        path = path_in(self.config.state_directory)
        if not _accessible(path, os.R_OK):
            raise Failure(
                ExitCode.LEDGER,
                f"{path} may not be read by this user: be the daemon's, or of its group while it runs",
            )
        try:
            connection = open_existing(self.config.state_directory, self.config.network, whole=whole)
        except LedgerUnusableError as error:
            raise Failure(ExitCode.LEDGER, str(error)) from None
        try:
            yield connection
        except driver.DatabaseError as error:
            raise Failure(ExitCode.LEDGER, f"{path} cannot be read to its end: {error}") from error
        finally:
            connection.close()


def pass_setup(command: Callable[Concatenate[Setup, P], R]) -> Callable[P, R]:
    """Give a command the `Setup` of the config file that was named, as its first argument."""

    def with_setup(*args: P.args, **kwargs: P.kwargs) -> R:
        return command(Setup(click.get_current_context().obj), *args, **kwargs)

    return update_wrapper(with_setup, command)


def config_failure(errors: Iterable[ConfigError]) -> Failure:
    """Every error on a line of its own, where it stands."""
    return Failure(ExitCode.USAGE, *map(str, errors))


def _accessible(path: Path, mode: int) -> bool:
    """Whether this user may read or write what is there; where nothing is, there is nothing to be refused."""
    try:
        return not path.exists() or os.access(path, mode)
    except PermissionError:
        return False
