"""Sources from the command line: `sources list`, `sources trust`, `sources release`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from watcher.cli.failures import ExitCode
from watcher.cli.setup import pass_setup
from watcher.cli.writing import write
from watcher.ledger.pins import pins
from watcher.service.logging import clean
from watcher.web.snapshot import SourceState
from watcher.web.views import source_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watcher.cli.setup import Setup


@click.group()
def sources() -> None:
    """Who is asked."""


@sources.command("list")
@click.option("--json", "as_json", is_flag=True, help="A source a line, as the API has it.")
@pass_setup
def list_sources(setup: Setup, *, as_json: bool) -> None:
    """Every source: is it up, where is its tip, what was it caught at, and until when is it not asked.

    Where no daemon runs: those of the config, and the keys that the ledger knows them by.
    """
    with setup.records() as records:
        found = records.status()
    for source in found["sources"] if found["running"] else _unasked(setup):
        click.echo(json.dumps(source) if as_json else _line(source))


def _unasked(setup: Setup) -> Iterator[Mapping[str, Any]]:
    with setup.ledger() as ledger:
        known = pins(ledger)
    for source in setup.config.sources:
        pin = source.pin or (known[source.name].hex() if source.name in known else None)
        yield source_view(
            SourceState(
                source.name,
                source.kind,
                source.operator or "-",
                up=False,
                pin=pin and f"sha256:{pin}",
                last_error="no daemon runs",
            )
        )


@sources.command()
@click.argument("name")
@click.option("--fingerprint", metavar="F", help="SHA-256 of the certificate; else the next it shows.")
@pass_setup
def trust(setup: Setup, *, name: str, fingerprint: str | None) -> None:
    """Know a source by another key from now on, where its key is trusted on first use."""
    path = f"/api/v1/sources/{quote(name, safe='')}/trust"
    write(setup, path, {"fingerprint": fingerprint}, absent=ExitCode.USAGE)
    click.echo(f"{name}: {'the next key it shows' if fingerprint is None else 'this key'} is trusted")


@sources.command()
@click.argument("name")
@click.option("--reason", metavar="R", required=True, help="Why, for the record.")
@pass_setup
def release(setup: Setup, *, name: str, reason: str) -> None:
    """Ask a quarantined source again, from now on."""
    path = f"/api/v1/sources/{quote(name, safe='')}/release"
    answer = write(setup, path, {"reason": reason}, absent=ExitCode.USAGE)
    click.echo(f"{name}: released" if answer["released"] else f"{name}: was not in quarantine")


def _line(source: Mapping[str, Any]) -> str:
    state = "up" if source["up"] else f"down ({clean(source['last_error'] or 'not connected yet')})"
    if source["quarantined_until"] is not None:
        state = f"quarantined until {source['quarantined_until']}: {source['caught']}"
    strikes = ", ".join(f"{reason} {count}" for reason, count in sorted(source["strikes"].items()) if count)
    tip = "-" if source["tip_height"] is None else source["tip_height"]
    return (
        f"{source['name']:16} {source['kind']:8} {source['operator']:24} tip {tip}  {state}"
        f"{f'  strikes: {strikes}' if strikes else ''}"
        f"{'' if source['pin'] is None else '  pin ' + source['pin']}"
    )
