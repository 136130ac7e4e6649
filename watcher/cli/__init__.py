"""The command line: `watcher [--config FILE] COMMAND`, exit codes as CONTRACT has them."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from watcher import __version__
from watcher.cli.commands import Commands
from watcher.cli.failures import ExitCode, Failure
from watcher.service.logging import configure_logging

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_CONFIG: Final = "/etc/treasury-watcher/watcher.toml"
REPORT_TO: Final = "https://github.com/treasury-watcher/treasury-watcher/issues"
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

log = logging.getLogger(__name__)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 the thing asked about does not hold, 2 usage or config, "
    "3 the ledger cannot be used, 4 unexpected, a listen address in use too.",
)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="TREASURY_WATCHER_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    show_envvar=True,
    metavar="FILE",
    help="The config file.",
)
@click.version_option(__version__, prog_name="treasury-watcher")
@click.pass_context
def cli(context: click.Context, path: Path) -> None:
    """A self-hosted monitor for bitcoin treasuries.

    Commands ask the running daemon; where none runs, those that only read open the ledger themselves.
    """
    context.obj = path
    if os.environ.get("NO_COLOR"):  # https://no-color.org: present and not empty
        context.color = False


def main() -> NoReturn:
    """Run a command and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # what a terminal's encoding lacks is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    _leave(_run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End the process, also where a thread never ends: all that has to be closed is closed.

    One that reads large answers waits for the next, and one may hang in the C library.
    """
    others = [each for each in threading.enumerate() if each is not threading.main_thread()]
    if any(not each.daemon for each in others):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(code)  # Python would wait for them
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    try:
        # not `cli.main`, which ends with 1 where the reader has gone, and swallows exit codes otherwise
        with cli.make_context("watcher", list(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        return _refused(error)
    except BrokenPipeError:
        # the reader has seen enough; Python must not complain about it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FINE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not logging.getLogger().handlers:
            configure_logging("auto", sys.stderr, os.environ)
        log.critical("ended by an error of the program itself", exc_info=True)
        return _say(
            ExitCode.UNEXPECTED, f"unexpected {_name(error)}; please report it, with the log, at {REPORT_TO}"
        )
    return ExitCode.FINE


def _refused(error: click.ClickException) -> int:
    match error:
        case Failure():
            return _say(error.code, *error.lines)
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return ExitCode.USAGE
        case click.UsageError(ctx=click.Context(command_path=command)):
            said = " ".join(error.format_message().split()).rstrip(".")  # some of click's are lists
            said = said.replace("is not a valid integer range", "is not a whole number")
            where = command.removeprefix("watcher").strip() or "usage"
            return _say(ExitCode.USAGE, f"{where}: {said} (see `{command} --help`)")
        case _:
            return _say(ExitCode.USAGE, error.format_message())


def _name(error: BaseException) -> str:
    """What kind of error, without its text, which may be anybody's; the system's own words are harmless."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__}{said}"


def _say(code: int, *lines: str) -> int:
    for line in lines:
        click.echo(f"watcher: {line}", err=True)
    return code
