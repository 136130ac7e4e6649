"""What of the config the surface shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.config.digest import config_digest
from watcher.core.balances import limits
from watcher.ledger.figures import ConditionLabels
from watcher.web.labels import expected_events
from watcher.web.page.terms import PageTerms, TreasuryTerms
from watcher.web.snapshot import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from watcher.config.settings import Config
    from watcher.ledger.figures import EventLabels


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the config the surface shows."""

    state: Path
    settings: Settings
    endpoints: tuple[str, ...]
    canaries: tuple[str, ...]  # the endpoints that ask for one
    treasuries: tuple[str, ...]  # those with something to watch
    expected: frozenset[EventLabels]
    conditions: frozenset[ConditionLabels]
    addresses_are_labels: bool
    page: PageTerms
    stale_after_ms: int


def shown(config: Config, started_ms: int) -> Shown:
    """The config as page, API and metrics tell it."""
    watched = tuple(treasury.name for treasury in config.treasuries if treasury.initial_scripts)
    return Shown(
        state=config.state_directory,
        settings=Settings(
            config_digest(config), last_reload_successful=True, last_reload_success_ms=started_ms
        ),
        endpoints=tuple(endpoint.name for endpoint in config.endpoints),
        canaries=tuple(endpoint.name for endpoint in config.endpoints if endpoint.canary),
        treasuries=watched,
        expected=expected_events(config.rules, watched),
        conditions=frozenset(_conditions(config, watched)),
        addresses_are_labels=config.show_addresses == "everywhere",
        page=_page(config),
        stale_after_ms=int(config.timing.stale_after * 1000),
    )


def _page(config: Config) -> PageTerms:
    http = config.http
    return PageTerms(
        lang=config.lang,
        addresses=config.show_addresses != "nowhere",
        explorer="" if http.explorer is None else http.explorer.reveal(),
        external_url="" if http.external_url is None else http.external_url.reveal(),
        treasuries={
            treasury.name: TreasuryTerms(
                treasury.claims,
                max(filter(None, (s.provenance.read for s in treasury.initial_scripts)), default=None),
            )
            for treasury in config.treasuries
        },
    )


def _conditions(config: Config, watched: Sequence[str]) -> Iterator[ConditionLabels]:
    """The conditions that the config has looked for."""
    if config.sources:
        yield ConditionLabels("source", "")
        yield ConditionLabels("disagreement", "")
    if config.endpoints:
        yield ConditionLabels("endpoint", "")
    for name in watched:
        yield ConditionLabels("stale", name)
    for limit in limits(config.rules, watched):
        yield ConditionLabels(str(limit.topic), limit.treasury)
    for treasury in config.treasuries:
        if treasury.claims and treasury.name in watched:
            yield ConditionLabels("claim", treasury.name)
        if treasury.wallets:
            yield ConditionLabels("collision", treasury.name)
