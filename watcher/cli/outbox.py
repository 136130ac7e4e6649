"""The outbox from the command line: `deliveries`, `redeliver`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from watcher.cli.failures import ExitCode, NoAnswer
from watcher.cli.from_daemon import value
from watcher.cli.setup import pass_setup
from watcher.service.numbers import counted
from watcher.web.client import DaemonError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.cli.setup import Setup


@click.command()
@click.option("--state", type=click.Choice(["pending", "delivered", "dead"]), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="A delivery a line, as the API has it.")
@pass_setup
def deliveries(setup: Setup, *, state: str | None, as_json: bool) -> None:
    """What was sent, what waits and what was given up, newest first."""
    with setup.records() as records:
        for delivery in records.deliveries(state):
            click.echo(json.dumps(delivery) if as_json else _line(delivery))


def _line(delivery: Mapping[str, Any]) -> str:
    due = f", due {delivery['due']}" if delivery["state"] == "pending" else f" {delivery['done'] or ''}"
    attempts = counted(delivery["attempts"], "attempt")
    reason = f", {delivery['reason']}" if delivery["reason"] else ""
    return (
        f"{delivery['id']:>8} {delivery['state']:9} {delivery['endpoint']:16} {delivery['type']:16} "
        f"{delivery['webhook_id']}  {attempts}{due}{reason}"
    )


@click.command()
@click.argument("delivery", metavar="[ID]", type=click.IntRange(1, 10**18 - 1), required=False)
@click.option("--endpoint", metavar="N", help="All that went to this endpoint …")
@click.option(
    "--since", metavar="SEQ", type=click.IntRange(0, 2**63 - 1), help="… from this event of the log on."
)
@pass_setup
def redeliver(setup: Setup, *, delivery: int | None, endpoint: str | None, since: int | None) -> None:
    """Send again: one delivery by its number, or all of an endpoint since an event.

    They keep their ids and bytes, so that a receiver recognises what it has.
    """
    whole = endpoint is not None and since is not None
    if (delivery is None) != whole or (delivery is not None and (endpoint, since) != (None, None)):
        raise click.UsageError("name either a delivery, or --endpoint and --since")
    daemon = setup.daemon
    if daemon is None:
        raise setup.no_daemon()
    try:
        if delivery is not None:
            answer = value(daemon.post(f"/api/v1/deliveries/{delivery}/redeliver", {}))
        else:
            body = {"endpoint": endpoint, "since": since}
            answer = value(daemon.post("/api/v1/deliveries/redeliver", body), absent=ExitCode.USAGE)
    except DaemonError as error:
        raise NoAnswer(str(error)) from None
    click.echo(f"{answer['redelivered']} due now")
