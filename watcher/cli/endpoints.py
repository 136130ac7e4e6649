"""Endpoints from the command line: `endpoints test`, `pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from watcher.cli.failures import ExitCode
from watcher.cli.setup import pass_setup
from watcher.cli.writing import verdict_line, write
from watcher.config.values import duration

if TYPE_CHECKING:
    from watcher.cli.setup import Setup


@click.group()
def endpoints() -> None:
    """Who is told."""


@endpoints.command("test")
@click.argument("name")
@pass_setup
def test(setup: Setup, *, name: str) -> None:
    """Send a test message to an endpoint, through the whole outbox, and wait for its answer.

    Exits 1 when it was not accepted at once; what may be accepted later is tried again like any other.
    """
    verdict = write(setup, f"/api/v1/endpoints/{quote(name, safe='')}/test", {}, absent=ExitCode.USAGE)
    click.echo(verdict_line(verdict))
    if not verdict["delivered"]:
        raise click.exceptions.Exit(ExitCode.DOES_NOT_HOLD)


@click.command()
@click.argument("endpoint")
@click.option("--for", "span", metavar="2h", required=True, help="How long; 0s ends a pause.")
@click.option("--reason", metavar="R", required=True, help="Why, for the record.")
@click.option("--by", metavar="WHO", required=True, help="Who, for the record.")
@pass_setup
def pause(setup: Setup, *, endpoint: str, span: str, reason: str, by: str) -> None:
    """Let what is for an endpoint wait for a while.

    Nothing is lost, and it ends by itself, also after a restart. The other endpoints are told.
    """
    try:
        seconds = int(duration(span))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None
    body = {"seconds": seconds, "reason": reason, "by": by}
    answer = write(setup, f"/api/v1/endpoints/{quote(endpoint, safe='')}/pause", body, absent=ExitCode.USAGE)
    said = f"paused until {answer['until']}" if seconds else "not paused"
    click.echo(f"{answer['endpoint']}: {said}")
