"""A condition is told when it begins and when it ends, once each, and not at all if it ended too soon."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.walks.eye import Eye
from tests.walks.world import World, script
from watcher.core.rules import Policy
from watcher.core.rules_types import Rule, Severity, Topic
from watcher.ledger.conditions import Condition, set_condition
from watcher.ledger.outbox import hasten

if TYPE_CHECKING:
    from watcher.ledger.commit import Settings

HOME = Condition("source", "home", "source.failed", "source.recovered")
NOW = 1_700_000_000_000


def rule(for_seconds: float) -> Rule:
    return Rule(
        name="sources",
        on=(Topic.SOURCE,),
        treasuries=("*",),
        min_sats=0,
        at=("seen",),
        severity=Severity.WARNING,
        send_to=("ops",),
        dormant_days=None,
        btc_sats=None,
        for_seconds=for_seconds,
    )


def eye_with(for_seconds: float) -> tuple[Eye, Settings]:
    eye = Eye(World(1, {"alpha": [script("alpha 0")]}), "one")
    return eye, replace(eye.settings, policy=Policy((rule(for_seconds),), 6, {}))


def owed(eye: Eye) -> list[Any]:
    return [
        (json.loads(row["body"])["type"], row["due_ms"])
        for row in eye.connection.execute("SELECT body, due_ms FROM deliveries ORDER BY id")
    ]


def test_begin_and_end_are_told_once_each_and_share_an_incident() -> None:
    eye, settings = eye_with(0)
    told = []
    for at_ms, holds in [(NOW, True), (NOW + 1, True), (NOW + 2, False), (NOW + 3, False), (NOW + 4, True)]:
        data: dict[str, object] = {"source": "home", "reason": "timeout"}
        told += set_condition(eye.connection, settings, HOME, data, at_ms, holds=holds).events
    assert [event.type for event in told] == ["source.failed", "source.recovered", "source.failed"]
    assert len({event.incident for event in told}) == 1
    assert len({event.id for event in told}) == 3
    assert [kind for kind, _ in owed(eye)] == [event.type for event in told]


def test_a_notice_waits_and_is_not_sent_where_the_condition_ends_before() -> None:
    eye, settings = eye_with(600)
    data: dict[str, object] = {"source": "home", "reason": "timeout"}
    set_condition(eye.connection, settings, HOME, data, NOW, holds=True)
    assert owed(eye) == [("source.failed", NOW + 600_000)]
    ended = set_condition(eye.connection, settings, HOME, data, NOW + 1_000, holds=False)
    assert [event.type for event in ended.events] == ["source.recovered"]
    assert owed(eye) == []
    assert ended.endpoints == frozenset()


@pytest.mark.parametrize("back_ms", [3_000, 86_400_000])
def test_a_clock_set_back_neither_makes_a_notice_early_nor_keeps_it_waiting(back_ms: int) -> None:
    eye, settings = eye_with(600)
    data: dict[str, object] = {"source": "home", "reason": "timeout"}
    set_condition(eye.connection, settings, HOME, data, NOW, holds=True)
    hasten(eye.connection, NOW - back_ms)
    assert owed(eye) == [("source.failed", NOW - back_ms + 600_000)]
    set_condition(eye.connection, settings, HOME, data, NOW - back_ms + 1_000, holds=False)
    assert owed(eye) == []
