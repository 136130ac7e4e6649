"""A condition is told when it begins and when it ends, once each, and not at all if it ended too soon."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.walks.eye import Eye
from tests.walks.world import World, script
from watcher.core.outbox import Again, Attempt
from watcher.core.rules import Policy
from watcher.core.rules_types import Rule, Severity, Topic
from watcher.ledger.conditions import Condition, set_condition
from watcher.ledger.outbox import hasten, lease_due, record, redeliver

if TYPE_CHECKING:
    from watcher.ledger.commit import Settings

HOME = Condition("source", "home", "source.failed", "source.recovered")
DATA: dict[str, object] = {"source": "home", "reason": "timeout"}
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
        told += set_condition(eye.connection, settings, HOME, DATA, at_ms, holds=holds).events
    assert [event.type for event in told] == ["source.failed", "source.recovered", "source.failed"]
    assert len({event.incident for event in told}) == 1
    assert len({event.id for event in told}) == 3
    assert [kind for kind, _ in owed(eye)] == [event.type for event in told]


def test_a_notice_waits_and_is_not_sent_where_the_condition_ends_before() -> None:
    eye, settings = eye_with(600)
    set_condition(eye.connection, settings, HOME, DATA, NOW, holds=True)
    assert owed(eye) == [("source.failed", NOW + 600_000)]
    ended = set_condition(eye.connection, settings, HOME, DATA, NOW + 1_000, holds=False)
    assert [event.type for event in ended.events] == ["source.recovered"]
    assert owed(eye) == []
    assert ended.endpoints == frozenset()


@pytest.mark.parametrize("back_ms", [3_000, 86_400_000])
def test_a_clock_set_back_neither_makes_a_notice_early_nor_keeps_it_waiting(back_ms: int) -> None:
    eye, settings = eye_with(600)
    set_condition(eye.connection, settings, HOME, DATA, NOW, holds=True)
    hasten(eye.connection, NOW - back_ms)
    assert owed(eye) == [("source.failed", NOW - back_ms + 600_000)]
    set_condition(eye.connection, settings, HOME, DATA, NOW - back_ms + 1_000, holds=False)
    assert owed(eye) == []


@pytest.mark.parametrize("lasts", [True, False])
@pytest.mark.parametrize(
    "rules",
    [
        (),
        (replace(rule(0), severity=Severity.CRITICAL),),
        (replace(rule(0), send_to=("chat",)),),
        (replace(rule(0), on=(Topic.STALE,)),),
    ],
    ids=["no rule", "a louder rule", "a rule for others", "a rule of something else"],
)
def test_who_was_told_the_beginning_is_told_the_end_as_loudly_whatever_the_rules_are_by_then(
    rules: tuple[Rule, ...], *, lasts: bool
) -> None:
    eye, settings = eye_with(600)
    set_condition(eye.connection, settings, HOME, DATA, NOW, holds=True)
    later = replace(settings, policy=replace(settings.policy, rules=rules))
    end_ms = NOW + (600_000 if lasts else 1_000)
    ended = set_condition(eye.connection, later, HOME, DATA, end_ms, holds=False)
    told = [
        (body["type"], body["data"]["severity"])
        for (text,) in eye.connection.execute(
            "SELECT body FROM deliveries WHERE endpoint = 'ops' ORDER BY id"
        )
        for body in [json.loads(text)]
    ]
    # an alert manager knows the two as one by their severity
    assert told == ([("source.failed", "warning"), ("source.recovered", "warning")] if lasts else [])
    assert ("ops" in ended.endpoints) is lasts


def test_whom_nobody_can_reach_any_more_is_told_no_end() -> None:
    eye, settings = eye_with(0)
    set_condition(eye.connection, settings, HOME, DATA, NOW, holds=True)
    gone = replace(settings, policy=replace(settings.policy, rules=(), reachable=frozenset({"chat"})))
    assert set_condition(eye.connection, gone, HOME, DATA, NOW + 1, holds=False).endpoints == frozenset()
    assert [kind for kind, _ in owed(eye)] == ["source.failed"]


@pytest.mark.parametrize("state", ["lent", "tried"])
def test_a_notice_that_is_on_its_way_or_was_tried_stays_and_its_end_follows(state: str) -> None:
    """The end has an instant before the notice was due where the clock was set back meanwhile."""
    eye, settings = eye_with(600)
    set_condition(eye.connection, settings, HOME, DATA, NOW, holds=True)
    due_ms = NOW + 600_000
    (lent,) = lease_due(eye.connection, "ops", due_ms, 9).deliveries
    failed = Attempt(lent.id, due_ms, 7, "timeout", None, Again(due_ms + 5_000))
    if state == "tried":
        record(eye.connection, [failed])
        redeliver(eye.connection, lent.id, due_ms)
    set_condition(eye.connection, settings, HOME, DATA, due_ms - 1_000, holds=False)
    assert [kind for kind, _ in owed(eye)] == ["source.failed", "source.recovered"]
    record(eye.connection, [failed])
