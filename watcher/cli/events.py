"""`watcher events`."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

import click

from watcher.cli.commands import end_well_by_signal
from watcher.cli.failures import NoAnswer
from watcher.cli.setup import pass_setup
from watcher.core.payload import canonical
from watcher.web.history import btc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.cli.records import EventsPage, Records
    from watcher.cli.setup import Setup

_POLL_SECONDS: Final = 1.0
_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,64}:[0-9]{1,18}", re.ASCII)


@click.command()
@click.option("--after", metavar="LOG:SEQ", help="Only what follows this cursor.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="json: an event a line, as webhooks and API have it.",
)
@pass_setup
def events(setup: Setup, *, after: str | None, follow: bool, form: str) -> None:
    """The log, oldest first."""
    if after is not None and not _CURSOR.fullmatch(after):
        raise click.BadParameter("a cursor is LOG:SEQ", param_hint="--after")
    if follow:
        end_well_by_signal()
    with setup.records() as records:
        while True:
            page = _patient(records, after) if follow else records.events(after)
            for event in page.events:
                click.echo(canonical(event) if form == "json" else _line(event))
            after = page.next
            if page.events:
                continue
            if not follow:
                return
            time.sleep(_POLL_SECONDS)


def _patient(records: Records, after: str | None) -> EventsPage:
    """A page, also when the daemon is restarted meanwhile."""
    told = False
    while True:
        try:
            return records.events(after)
        except NoAnswer as error:
            if not told:
                click.echo(f"watcher: {error.message}; waiting for the daemon", err=True)
            told = True
            time.sleep(_POLL_SECONDS)


def _line(event: Mapping[str, Any]) -> str:
    data = event["data"]
    amount = btc(data["amount_sats"]) if "amount_sats" in data else ""
    subject = data.get("txid") or data.get("source") or data.get("reason") or ""
    return (
        f"{data['sequence']:>8} {event['timestamp']} {event['type']:20} {data.get('treasury') or '':16} "
        f"{data.get('flow') or '':8} {amount:>18} {subject}"
    ).rstrip()
