"""`watcher verify`: the ledger proved again from its own bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watcher.cli.commands import load
from watcher.cli.failures import ExitCode
from watcher.cli.setup import pass_setup
from watcher.ledger.verify import LIMITS
from watcher.ledger.verify import verify as prove
from watcher.service.numbers import counted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from watcher.cli.online import Verdict
    from watcher.cli.setup import Setup
    from watcher.config.settings import Config


@click.command()
@click.option("--online", is_flag=True, help="Ask every source again for what is missing.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first thing that does not hold.")
@pass_setup
def verify(setup: Setup, *, online: bool, fail_fast: bool) -> None:
    """Re-prove every recorded transaction and re-add every balance, offline.

    Lists all that does not hold, and exits 1 then. It reads the ledger itself, also beside a daemon.
    With --online it exits 1 also where a source shows a transaction that is missing, or none answers.
    """
    answers: Verdict | None = None
    with setup.ledger(whole=True) as ledger:
        found = prove(ledger, fail_fast=fail_fast)
        if online and not (fail_fast and found.failures):
            ask_again: Callable[[Config, sqlite3.Connection], Verdict] = load("lacking", "ask_again")
            answers = ask_again(setup.config, ledger)
    click.echo(
        f"{counted(found.proven, 'transaction')} proven, {found.unproven} not yet proven, "
        f"{counted(found.headers, 'header')}, {counted(found.events, 'event')}, "
        f"{counted(len(found.failures), 'failure')}"
    )
    for failure in found.failures:
        click.echo(f"does not hold: {failure}")
    for line in answers.lines if answers else ():
        click.echo(line)
    click.echo("What this cannot prove:")
    for limit in LIMITS:
        click.echo(f"  {limit}")
    if found.failures or (answers and not answers.holds):
        raise click.exceptions.Exit(ExitCode.DOES_NOT_HOLD)
