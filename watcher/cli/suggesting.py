"""`watcher suggest`: the lines that would add an outflow's destinations to the watch list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from watcher.cli.failures import ExitCode, Failure
from watcher.cli.setup import pass_setup
from watcher.web.history import btc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watcher.cli.records import Records
    from watcher.cli.setup import Setup


@click.command()
@click.argument("incident")
@pass_setup
def suggest(setup: Setup, *, incident: str) -> None:
    """Print the TOML that would add an incident's destinations to its treasury.

    Nothing says that they are the treasury's own but whoever adds the lines.
    """
    with setup.records() as records:
        outflow = _last_outflow(records, incident)
    if outflow is None:
        raise Failure(ExitCode.DOES_NOT_HOLD, f"no outflow of incident {incident[:100]!a} is on record")
    watched = {
        script.address: treasury.name
        for treasury in setup.config.treasuries
        for script in treasury.initial_scripts
        if script.address is not None
    }
    for line in _lines(outflow, watched):
        click.echo(line)


def _last_outflow(records: Records, incident: str) -> Mapping[str, Any] | None:
    """The newest event of the incident that names where coins went."""
    found: Mapping[str, Any] | None = None
    after: str | None = None
    while True:
        page = records.events(after)
        for event in page.events:
            data: Mapping[str, Any] = event["data"]
            if data["incident"] == incident and data.get("destinations"):
                found = data
        if not page.events:
            return found
        after = page.next


def _lines(data: Mapping[str, Any], watched: Mapping[str, str]) -> Iterator[str]:
    """The lines; `watched` is whose an address is already: a second time it would be an error."""
    yield f"# treasury {data['treasury']}: destinations of {data['txid']}"
    yield "# check each with its owner before you add it"
    for destination in data["destinations"]:
        yield ""
        yield f"# received {btc(destination['amount_sats'])} BTC"
        if destination["address"] in watched:
            yield f"# {destination['address']} is watched already, in {watched[destination['address']]}"
            continue
        yield "[[treasuries.watch]]"
        if destination["address"] is None:
            yield f'script = "{destination["script_pubkey"]}"'
        else:
            yield f'address = "{destination["address"]}"'
    omitted = data.get("destinations_omitted")
    if omitted is not None:
        yield ""
        yield f"# and {omitted['count']} more, together {btc(omitted['amount_sats'])} BTC"
