"""`watcher run`: the config first, then the lock, then anything else."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from watcher.app.build import run_daemon
from watcher.app.daemon import WrongNetworksError
from watcher.cli.failures import ExitCode, Failure
from watcher.cli.setup import config_failure, pass_setup
from watcher.config.credentials import SecretProblem
from watcher.config.secrets_check import check_secrets
from watcher.ledger.opening import LedgerUnusableError, damage_met, path_in
from watcher.ledger.sqlite import driver, is_damage
from watcher.service.lock import LockedError, locked
from watcher.service.logging import configure_logging
from watcher.service.memory import give_back_large_blocks
from watcher.service.threads import PatientThreads

if TYPE_CHECKING:
    from watcher.cli.setup import Setup
    from watcher.config.settings import Config

log = logging.getLogger(__name__)

LOCK: Final = "lock"
HANGING_SECONDS: Final = 1.0  # for a look-up of a name, of the ten that the whole way down may take


@click.command()
@pass_setup
def run(setup: Setup) -> None:
    """Watch, in the foreground, and log to standard error.

    SIGTERM and SIGINT end it in order, within 10 seconds, with exit code 0.
    """
    config = setup.config
    secrets = check_secrets(config, environ=os.environ)
    if unusable := (*secrets.wrong, *secrets.not_checked):
        raise config_failure(unusable)
    configure_logging(config.log_format, sys.stderr, os.environ)
    for doubt in config.doubts:
        log.warning("%s", doubt)
    give_back_large_blocks()
    with _held(config):
        _watch(config)


def _held(config: Config) -> ExitStack:
    """The state directory, there and locked for as long as the stack is open."""
    stack = ExitStack()
    try:
        config.state_directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        os.umask(0o077)  # the ledger and its companions are the daemon's alone
        stack.enter_context(locked(config.state_directory / LOCK))
    except LockedError as error:
        raise Failure(ExitCode.LEDGER, str(error)) from None
    except OSError as error:
        who = ""
        if isinstance(error, PermissionError):
            who = f"; the user that runs this (uid {os.geteuid()}) has to be able to write there"
        where = error.filename or config.state_directory  # what fails at an open file names none
        text = f"the state directory cannot be used: {where}: {error.strerror}{who}"
        raise Failure(ExitCode.LEDGER, text) from None
    return stack


def _watch(config: Config) -> None:
    failure = None
    try:
        asyncio.run(_daemon(config))
    # a long task that dies comes in the task group's own group, and what fails before them comes alone
    except* (SecretProblem, WrongNetworksError, LedgerUnusableError, OSError, driver.DatabaseError) as found:
        failure = _failure(_first(found), config)
        if failure is None:
            raise
    if failure is not None:
        raise failure


async def _daemon(config: Config) -> None:
    asyncio.get_running_loop().set_default_executor(PatientThreads(HANGING_SECONDS))
    await run_daemon(config, os.environ)


def _failure(error: BaseException, config: Config) -> Failure | None:
    """What an operator can do something about; None for anything else."""
    match error:
        case SecretProblem() | WrongNetworksError():
            return Failure(ExitCode.USAGE, str(error))
        case LedgerUnusableError():
            return Failure(ExitCode.LEDGER, str(error))
        case driver.DatabaseError() if is_damage(error):
            return Failure(ExitCode.LEDGER, damage_met(path_in(config.state_directory), str(error)))
        case OSError(errno=errno.EADDRINUSE | errno.EADDRNOTAVAIL as number):
            return Failure(
                ExitCode.UNEXPECTED, f"cannot listen at {config.http.listen}: {os.strerror(number)}"
            )
        case OSError(errno=int(number)) if "bind" in str(error):
            return Failure(
                ExitCode.UNEXPECTED, f"cannot listen at {config.http.listen}: {os.strerror(number)}"
            )
    return None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
