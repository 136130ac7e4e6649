"""Limits that rules set for a confirmed balance, and when one is crossed.

A limit is crossed by the first satoshi beyond it and holds again 1 % on the other side, so that a
balance that moves about its limit tells nothing over and over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.core.rules_types import BALANCES, EVERY_TREASURY, Topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from watcher.bitcoin.types import Sats
    from watcher.core.rules_types import Rule


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule's limit for one treasury; `topic` is one of the two about balances."""

    rule: str
    topic: Topic
    treasury: str
    sats: Sats

    @property
    def subject(self) -> str:
        """What the condition is about; neither name can have a slash in it."""
        return f"{self.rule}/{self.treasury}"


def limits(rules: Iterable[Rule], treasuries: Sequence[str]) -> Iterator[Limit]:
    """Every limit there is, by rule and treasury."""
    for rule in rules:
        if rule.btc_sats is None:
            continue
        for topic in sorted(BALANCES.intersection(rule.on)):
            for name in treasuries:
                if EVERY_TREASURY in rule.treasuries or name in rule.treasuries:
                    yield Limit(rule.name, topic, name, rule.btc_sats)


def is_crossed(limit: Limit, confirmed: Sats, *, before: bool) -> bool:
    """Whether the balance is beyond the limit, given that it was (or was not) `before`."""
    if limit.topic is Topic.BALANCE_BELOW:
        return confirmed < limit.sats or (before and 100 * confirmed < 101 * limit.sats)
    return confirmed > limit.sats or (before and 100 * confirmed > 99 * limit.sats)
