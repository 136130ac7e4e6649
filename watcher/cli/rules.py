"""The rules tried out: `rules test` on a movement that did not happen, `rules replay` on all that did."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from watcher.app.rehearsal import rehearse
from watcher.app.wiring import commit_settings
from watcher.bitcoin.types import Malformed
from watcher.cli.failures import ExitCode, Failure
from watcher.cli.setup import pass_setup
from watcher.cli.writing import verdict_line, write
from watcher.config.errors import nearest
from watcher.config.values import sats_of_btc
from watcher.core.fiat import no_rate
from watcher.core.instants import rfc3339
from watcher.core.known import Flow
from watcher.core.rehearsal import Sample, UnknownTreasuryError
from watcher.core.rules_types import parse_rung
from watcher.ledger.queries import log_id
from watcher.ledger.replay import replay as replayed
from watcher.web.requests import bound

if TYPE_CHECKING:
    from watcher.app.rehearsal import Rehearsed
    from watcher.cli.setup import Setup
    from watcher.core.rules import Notice


@click.group()
def rules() -> None:
    """What the rules would say."""


@rules.command("test")
@click.argument("treasury")
@click.option("--flow", type=click.Choice([str(flow) for flow in Flow]), required=True)
@click.option("--btc", metavar="N", required=True, help="How much, such as 0.5.")
@click.option("--to", metavar="A", help="The address that an outflow pays.")
@click.option(
    "--at", "rung", metavar="RUNG", help="seen, confirmed, a number or final; all in turn if not said."
)
@click.option("--dormant-days", type=click.IntRange(0, 100_000), help="The age of the oldest coin spent.")
@click.option("--first-spend", is_flag=True, help="It is the first spend of an address.")
@click.option("--send", is_flag=True, help="Send it, as test messages, by the config that the daemon runs.")
@pass_setup
def test(  # noqa: PLR0913 - one parameter an option
    setup: Setup,
    *,
    treasury: str,
    flow: str,
    btc: str,
    to: str | None,
    rung: str | None,
    dormant_days: int | None,
    first_spend: bool,
    send: bool,
) -> None:
    """Which rules would speak of a movement, to whom, how loudly, and the very text.

    Nothing is written and nothing is sent without --send. Exits 1 when no rule would say anything.
    """
    try:
        sats = sats_of_btc(btc)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--btc") from None
    try:
        at = None if rung is None else parse_rung(rung, finality=setup.config.finality)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    try:
        sample = Sample(treasury, Flow(flow), sats, to, at, dormant_days, first_spend)
        found = rehearse(setup.config, sample, time.time_ns() // 1_000_000)
    except UnknownTreasuryError:
        known = [each.name for each in setup.config.treasuries]
        raise Failure(ExitCode.USAGE, f"no treasury {treasury[:100]!a}{nearest(treasury, known)}") from None
    except Malformed as error:
        raise click.BadParameter(str(error), param_hint="--to") from None
    for each in found:
        click.echo(_heading(each))
        click.echo("".join(f"    {line}\n" for line in each.text.splitlines()))
    if send:
        body = {"treasury": treasury, "flow": flow, "sats": sats, "to": to, "at": at}
        _send(setup, body | {"oldest_coin_days": dormant_days, "first_spend": first_spend})
    if not found:
        click.echo("no rule speaks of it")
        raise click.exceptions.Exit(ExitCode.DOES_NOT_HOLD)


def _heading(each: Rehearsed) -> str:
    notice = each.notice
    named = ", ".join(notice.rules)
    return (
        f"{notice.event.type} at {notice.step}: {notice.endpoint} ({each.kind}), {notice.severity}, "
        f"by {named}\n  {each.title}"
    )


def _send(setup: Setup, body: dict[str, Any]) -> None:
    verdicts = write(setup, "/api/v1/rules/test", body, absent=ExitCode.USAGE)["notices"]
    for verdict in verdicts:
        click.echo(f"sent as a test: {verdict['type']} at {verdict['step']}: {verdict_line(verdict)}")
    if not all(verdict["delivered"] for verdict in verdicts):
        raise click.exceptions.Exit(ExitCode.DOES_NOT_HOLD)


@rules.command("replay")
@click.option("--since", metavar="D", required=True, help="From this UTC day or instant on.")
@click.option("--json", "as_json", is_flag=True, help="A notice a line.")
@pass_setup
def replay(setup: Setup, *, since: str, as_json: bool) -> None:
    """What the rules as they are now would have sent over the real history.

    The whole log is judged anew; nothing is sent. Times are those at which the watcher knew. A rung
    between confirmed and final is shown at the time of the latter.
    """
    try:
        start_ms = datetime.fromisoformat(bound(since, end=False)).timestamp() * 1000
    except ValueError:
        raise click.BadParameter("a UTC day or an RFC 3339 instant with Z", param_hint="--since") from None
    counts: Counter[tuple[str, str]] = Counter()
    with setup.ledger() as ledger:
        policy = commit_settings(setup.config, log_id(ledger), no_rate).policy
        for notice in replayed(ledger, policy):
            if notice.event.at_ms < start_ms:
                continue
            counts[notice.endpoint, str(notice.severity)] += 1
            click.echo(json.dumps(_record(notice)) if as_json else _row(notice))
    if not as_json:
        click.echo(_total(counts))


def _record(notice: Notice) -> dict[str, Any]:
    event = notice.event
    return {
        "timestamp": rfc3339(event.at_ms),
        "type": event.type,
        "step": notice.step,
        "treasury": event.treasury,
        "flow": event.flow,
        "event": event.id,
        "incident": event.incident,
        "endpoint": notice.endpoint,
        "rules": list(notice.rules),
        "severity": str(notice.severity),
        "expected": notice.expected,
    }


def _row(notice: Notice) -> str:
    event = notice.event
    named = ", ".join(notice.rules) or "-"
    marked = " (expected)" if notice.expected else ""
    return (
        f"{rfc3339(event.at_ms)} {event.type:18} {event.flow or '':8} {event.treasury or '':16} "
        f"{notice.step:10} {notice.endpoint:16} {notice.severity:8} {named}{marked}"
    )


def _total(counts: Counter[tuple[str, str]]) -> str:
    by_endpoint: dict[str, list[str]] = {}
    for (endpoint, severity), count in sorted(counts.items()):
        by_endpoint.setdefault(endpoint, []).append(f"{count} {severity}")
    parts = [f"{endpoint}: {', '.join(said)}" for endpoint, said in by_endpoint.items()]
    return f"{counts.total()} notices{'; ' if parts else ''}{'; '.join(parts)}"
