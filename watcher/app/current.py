"""The config in force, and what is made of it: replaced as a whole by a reload, never in part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from watcher.app.shown import shown
from watcher.app.wiring import commit_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.app.shown import Shown
    from watcher.config.settings import Config
    from watcher.core.fiat import RateAt
    from watcher.ledger.commit import Settings


@dataclass(frozen=True, slots=True)
class Accepted:
    """A config that was accepted at an instant, with the settings of commits and what the surface shows."""

    config: Config
    settings: Settings
    shown: Shown

    def reaching(self, endpoints: Iterable[str]) -> Accepted:
        """The same, where only these can be told anything more."""
        policy = replace(self.settings.policy, reachable=frozenset(endpoints))
        return replace(self, settings=replace(self.settings, policy=policy))


def accepted(config: Config, log: str, at_ms: int, rate: RateAt) -> Accepted:
    """Take a config; `log` is the ledger's id, `rate` the one at which amounts are told."""
    return Accepted(config, commit_settings(config, log, rate), shown(config, at_ms))


class Current:
    """Holds the config in force; `failed` says that the last reload was refused."""

    def __init__(self, first: Accepted) -> None:
        self.now = first
        self.failed = False

    def reach(self, endpoints: Iterable[str]) -> None:
        """From here on only these can be told anything more."""
        self.now = self.now.reaching(endpoints)
