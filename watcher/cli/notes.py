"""What people say of movements: `note` of those that were, `expect` of those to come."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from watcher.bitcoin.addresses import decode_address
from watcher.bitcoin.types import Malformed
from watcher.cli.failures import ExitCode
from watcher.cli.setup import pass_setup
from watcher.cli.writing import write
from watcher.config.values import sats_of_btc
from watcher.web.requests import bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.networks import Network
    from watcher.cli.setup import Setup


@click.command()
@click.argument("incident")
@click.argument("text")
@click.option("--by", metavar="WHO", required=True, help="Who says so.")
@pass_setup
def note(setup: Setup, *, incident: str, text: str, by: str) -> None:
    """Add a remark to an incident: whoever was told of the incident is told. Nothing is ever removed."""
    answer = write(setup, f"/api/v1/incidents/{quote(incident, safe='')}/notes", {"text": text, "by": by})
    click.echo(f"noted: {answer['event']}")


@click.command()
@click.argument("treasury")
@click.option(
    "--to",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The addresses it may pay: one a line, or a CSV with a column `address`.",
)
@click.option("--max-btc", metavar="N", required=True, help="At most so much in all, such as 0.5.")
@click.option("--until", metavar="T", required=True, help="Seen by the end of this UTC day, or instant.")
@click.option("--reason", metavar="R", required=True, help="Why, for the record.")
@click.option("--by", metavar="WHO", required=True, help="Who announces it.")
@pass_setup
def expect(
    setup: Setup, *, treasury: str, file: Path, max_btc: str, until: str, reason: str, by: str
) -> None:
    """Announce a movement: an outflow to these addresses alone is told as `info` and marked expected.

    Nothing is silenced. Whoever would be told of the outflow is told of the announcement now, as loudly.
    """
    try:
        most = sats_of_btc(max_btc)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-btc") from None
    try:
        bound(until, end=True)
    except ValueError:
        raise click.BadParameter("a UTC day or an RFC 3339 instant with Z", param_hint="--until") from None
    body = {
        "to": _addresses(file, setup.config.network),
        "max_sats": most,
        "until": until,
        "reason": reason,
        "by": by,
    }
    path = f"/api/v1/treasuries/{quote(treasury, safe='')}/expectations"
    answer = write(setup, path, body, absent=ExitCode.USAGE)
    click.echo(f"expected: {answer['event']}")


def _addresses(file: Path, network: Network) -> Sequence[str]:
    """The file's addresses, each checked; what is wrong is named by its line."""
    try:
        reader = csv.reader(file.read_text(encoding="utf-8-sig").splitlines())
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise click.BadParameter(f"{file}: cannot be read as text in UTF-8", param_hint="--to") from None
    first = rows[0][1] if rows else []
    column = first.index("address") if "address" in first else None
    found = []
    for line, row in rows[0 if column is None else 1 :]:
        address = row[column or 0].strip() if len(row) > (column or 0) else ""
        try:
            decode_address(address, network)
        except Malformed as error:
            raise click.BadParameter(f"{file}:{line}: {error}", param_hint="--to") from None
        found.append(address)
    if not found:
        raise click.BadParameter(f"{file}: holds no address", param_hint="--to")
    return found
