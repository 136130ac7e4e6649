"""`watcher history`."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, assert_never

import click

from watcher.cli.openmetrics import SETTLED_SECONDS, openmetrics
from watcher.cli.records import Span
from watcher.cli.setup import pass_setup
from watcher.core.payload import canonical
from watcher.web.requests import bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Literal

    from watcher.cli.setup import Setup


@click.command()
@click.argument("treasury")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "openmetrics"]),
    default="table",
    show_default=True,
)
@click.option(
    "--since", metavar="D", help="From this UTC day or instant (2026-11-24, 2026-11-24T10:00:00Z) on."
)
@click.option("--until", metavar="D", help="Up to this UTC day, its end included, or instant.")
@pass_setup
def history(
    setup: Setup,
    *,
    treasury: str,
    form: Literal["table", "csv", "json", "openmetrics"],
    since: str | None,
    until: str | None,
) -> None:
    """Every change of a treasury, with its running balance.

    Oldest first, by height and position in the block, what is unconfirmed last. This is the present
    reading; what was corrected on the way is in `watcher events`. Days and instants are of block times.

    `openmetrics` is the confirmed balance every four minutes, up to three hours ago, to be put behind what
    Prometheus has scraped: `promtool tsdb create-blocks-from openmetrics FILE DATA`.
    """
    span = Span(_bound(since, "--since", end=False), _bound(until, "--until", end=True))
    if span.since is not None and span.until is not None and span.until < span.since:
        raise click.BadParameter("it is before --since", param_hint="--until")
    with setup.records() as records:
        match form:
            case "csv":
                lines = records.history_csv(treasury, span)
            case "json":
                lines = _array(records.history(treasury, span))
            case "openmetrics":
                lines = openmetrics(
                    treasury,
                    records.history(treasury, Span(None, span.until)),
                    since=span.since,
                    until=_end(span.until),
                )
            case "table":
                lines = _table(records.history(treasury, span))
            case _:
                assert_never(form)
        for line in lines:
            click.echo(line, nl=False)


def _bound(text: str | None, option: str, *, end: bool) -> str | None:
    if text is None:
        return None
    try:
        return bound(text, end=end)
    except ValueError:
        raise click.BadParameter("a UTC day or an RFC 3339 instant with Z", param_hint=option) from None


def _end(until: str | None) -> float:
    settled = time.time() - SETTLED_SECONDS
    return settled if until is None else min(settled, datetime.fromisoformat(until).timestamp())


def _array(rows: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    """One JSON array, a row a line."""
    start = "["
    for row in rows:
        yield f"{start}\n{canonical(row)}"
        start = ","
    yield "[]\n" if start == "[" else "\n]\n"


def _table(rows: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    titles = dict.fromkeys(("block_time_utc", "kind", "flow", "txid"), "") | {"height": "HEIGHT"}
    titles |= {"block_time_utc": "BLOCK TIME", "kind": "KIND", "flow": "FLOW", "txid": "TXID"}
    titles |= {"amount_btc": "AMOUNT BTC", "balance_btc": "BALANCE BTC", "trust": "TRUST"}
    for number, row in enumerate(rows):
        if number == 0:
            yield _line(titles)
        yield _line({**row, "height": "unconfirmed" if row["height"] is None else row["height"]})


def _line(row: Mapping[str, Any]) -> str:
    text = {name: "" if value is None else str(value) for name, value in row.items()}
    return (
        f"{text['block_time_utc']:20} {text['height']:>11} {text['kind']:11} {text['flow']:8} "
        f"{text['amount_btc']:>18} {text['balance_btc']:>18} {text['trust']:12} {text['txid']}"
    ).rstrip() + "\n"
