"""Holds the confirmed balances against the limits that rules set for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.balances import is_crossed, limits
from watcher.core.rules_types import BALANCES
from watcher.ledger.conditions import Condition, forget_others, holding, set_condition
from watcher.ledger.totals import confirmed_totals

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from watcher.config.settings import Config
    from watcher.ledger.commit import Committed, Settings


def judge_balances(
    connection: sqlite3.Connection, config: Config, settings: Settings, at_ms: int
) -> Iterator[Committed]:
    """Tell each limit that was crossed or holds again; unread treasuries have no balance to judge."""
    asked = list(limits(config.rules, [treasury.name for treasury in config.treasuries]))
    for topic in BALANCES:
        subjects = {limit.subject for limit in asked if limit.topic is topic}
        forget_others(connection, str(topic), subjects, at_ms)
    if not asked:
        return
    totals = confirmed_totals(connection)
    crossed = {topic: holding(connection, str(topic)) for topic in BALANCES}
    for limit in asked:
        confirmed = totals.get(limit.treasury)
        if confirmed is None:
            continue
        before = limit.subject in crossed[limit.topic]
        after = is_crossed(limit, confirmed, before=before)
        if after is before:
            continue
        condition = Condition(
            str(limit.topic), limit.subject, "balance.crossed", "balance.restored", treasury=limit.treasury
        )
        data: dict[str, object] = {
            "rule": limit.rule,
            "threshold_sats": limit.sats,
            "observed_sats": confirmed,
        }
        yield set_condition(connection, settings, condition, data, at_ms, holds=after)
