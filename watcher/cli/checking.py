"""`watcher check`: is the config right, and does it say what was meant."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from watcher.cli.commands import load
from watcher.cli.failures import ExitCode
from watcher.cli.setup import config_failure, pass_setup
from watcher.config.secrets_check import check_secrets
from watcher.service.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watcher.cli.online import Verdict
    from watcher.cli.setup import Setup
    from watcher.config.settings import Config, Provenance, Treasury

_SHOWN: Final = 3


@click.command()
@click.option("--online", is_flag=True, help="Ask each source; exit 1 when too few answer.")
@pass_setup
def check(setup: Setup, *, online: bool) -> None:
    """Validate the config offline, and show what it watches."""
    config = setup.config
    secrets = check_secrets(config, environ=os.environ)
    if secrets.wrong:
        raise config_failure(secrets.wrong)
    opinion: Callable[[Config], str] = load("opinion", "opinion")
    click.echo("\n".join(_page(config)))
    click.echo(opinion(config))
    for secret in secrets.not_checked:
        click.echo(str(secret))
    if not online:
        return
    ask: Callable[[Config], Verdict] = load("online", "ask")
    verdict = ask(config)
    click.echo("\n".join(verdict.lines))
    if not verdict.holds:
        raise click.exceptions.Exit(ExitCode.DOES_NOT_HOLD)


def _page(config: Config) -> Iterator[str]:
    yield f"{config.file}: valid, {config.network}, state in {config.state_directory}"
    yield from (f"note: {doubt}" for doubt in config.doubts)
    for treasury in config.treasuries:
        yield from _treasury(treasury)
        yield from _to_come(treasury)
    for source in config.sources:
        yield f"source {source.name}: {source.kind}{', trusted' if source.trusted else ''}"
    for endpoint in config.endpoints:
        yield f"endpoint {endpoint.name}: {endpoint.kind}"
    told = {name for rule in config.rules for name in rule.send_to}
    for endpoint in config.endpoints:
        if endpoint.name not in told:
            yield f"note: no rule sends anything to {endpoint.name}"


def _treasury(treasury: Treasury) -> Iterator[str]:
    scripts = treasury.initial_scripts
    count = len(scripts)
    yield f"treasury {treasury.name}: {counted(count, 'script')}, {treasury.attribution}"
    for script in scripts[:_SHOWN]:
        told = script.provenance.label
        label = f"  ({_plain(told)})" if told else ""
        yield f"  {script.address or script.script_pubkey.hex()}{label}"
    if count > _SHOWN:
        yield f"  … and {count - _SHOWN} more"
    origins = Counter(_origin(script.provenance) for script in scripts)
    yield from (f"  {many} of {count}: {origin}" for origin, many in origins.most_common(_SHOWN) if origin)
    for watch in treasury.wallets:
        yield f"  wallet: {watch.wallet.describe()}, {treasury.gap_limit} ahead of the last one used"
        yield from (f"  note: {note}" for note in watch.wallet.notes)


def _to_come(treasury: Treasury) -> Iterator[str]:
    """Days on which nobody can have published or read anything yet; somewhere it is tomorrow already."""
    latest = datetime.now(UTC).date() + timedelta(days=1)
    days = Counter(
        (what, day)
        for script in treasury.initial_scripts
        for what, day in (("published", script.provenance.published), ("read", script.provenance.read))
        if day is not None and day > latest
    )
    days.update(
        ("a claim read", claim.read) for claim in treasury.claims if claim.read and claim.read > latest
    )
    for (what, day), many in days.items():
        yield f"  note: {what} {day}, which is still to come ({many})"


def _origin(told: Provenance) -> str:
    """Who published it, when and where, and when it was read there; empty where nobody says."""
    parts = (
        told.published and f"published {told.published}",
        told.by and f"by {_plain(told.by)}",
        told.source and _plain(told.source),
        told.read and f"read {told.read}",
        told.licence and f"licence: {_plain(told.licence)}",
    )
    return ", ".join(part for part in parts if part)


def _plain(text: str) -> str:
    """What others wrote, as a terminal may show it."""
    return ascii(text)[1:-1]
