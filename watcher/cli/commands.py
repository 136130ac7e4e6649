"""The commands there are, each loaded when it is asked for: `watcher --help` needs none of them."""

from __future__ import annotations

import difflib
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from watcher.service.hangups import note_hangups

if TYPE_CHECKING:
    from types import FrameType


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is; one that `lasts` goes on until a signal ends it, and ends well by it."""

    module: str
    summary: str
    lasts: bool = False


COMMANDS: Final = {
    "init": Entry("init", "Write a first config that works."),
    "run": Entry("running", "Watch, in the foreground.", lasts=True),
    "reload": Entry("reloading", "Let the daemon read its config again."),
    "check": Entry("checking", "Is the config right, and do the sources answer?"),
    "status": Entry("status", "Treasuries, sources and outbox on one page."),
    "history": Entry("history", "Every change of a treasury, with its running balance."),
    "events": Entry("events", "The log, oldest first."),
    "rules": Entry("rules", "What the rules would say: of a movement, or of what has happened."),
    "endpoints": Entry("endpoints", "Does an endpoint take what is sent to it?"),
    "deliveries": Entry("outbox", "What was sent, what waits, what was given up."),
    "redeliver": Entry("outbox", "Send again."),
    "pause": Entry("endpoints", "Let what is for an endpoint wait for a while."),
    "expect": Entry("notes", "Announce a movement, so that it is told as expected."),
    "note": Entry("notes", "Add a remark to an incident."),
    "sources": Entry("sources", "Who is asked, who was caught, and who may be asked again."),
    "suggest": Entry("suggesting", "The lines that would add an outflow's destinations."),
    "backup": Entry("backups", "A consistent copy of the ledger, while the daemon runs."),
    "restore": Entry("backups", "Make a backup the ledger of an empty state directory."),
    "verify": Entry("verifying", "Prove the whole ledger again, offline."),
    "report": Entry("report", "A treasury at a block, to be published, and the evidence for it."),
    "schema": Entry("schema", "The JSON Schema of the config, for editors."),
    "secret": Entry("secret", "Print a fresh signing secret for a webhook."),
}


def load(module: str, name: str) -> Any:
    """What a module of the command line has under this name, imported now and not before."""
    return getattr(import_module(f"watcher.cli.{module}"), name)


class Commands(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order an operator meets them."""
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if entry.lasts and not ctx.resilient_parsing:
            end_well_by_signal()  # from here on, since loading takes a while
            if cmd_name == "run":
                note_hangups()
        command: click.Command = load(entry.module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with; UsageError with the nearest one there is."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0][:100], COMMANDS, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command: {args[0][:100]!a}; {hint}", ctx)
        return super().resolve_command(ctx, args)


def end_well_by_signal() -> None:
    """Let SIGINT and SIGTERM end what would go on for ever: with 0, and through every `finally`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    # told twice, it must not leave amid a `finally`
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
