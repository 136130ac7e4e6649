"""Endpoints that are spared, and endpoints that alerts do not reach: the others are told, nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.ledger.test_announced import rule
from tests.walks.eye import FINALITY, Eye
from tests.walks.world import World, script
from watcher.core.outbox import Accepted, Again, Attempt, Dead, Fate, Refused
from watcher.core.rules import Policy
from watcher.core.rules_types import Topic
from watcher.ledger.outbox import lease_due, record, revive
from watcher.ledger.pauses import pause
from watcher.ledger.reached import judge

HOUR = 3_600_000


def owing() -> Eye:
    """A ledger that owes `ops` four messages, and has two more endpoints."""
    world = World(1, {"alpha": [script("alpha 0")]})
    eye = Eye(world, "one")
    rules = (rule("lists", "ops", Topic.WATCH), rule("income", "ops", Topic.INFLOW))
    policy = Policy(rules, FINALITY, {}, endpoints=("ops", "chat", "mail"))
    eye.settings = replace(eye.settings, policy=policy)
    eye.look()
    world.strangers = world.ours  # every coinbase is ours
    for _ in range(3):
        world.mine([])
        eye.look()
    return eye


def owed(eye: Eye, endpoint: str) -> list[tuple[str, str]]:
    rows = eye.connection.execute("SELECT body FROM deliveries WHERE endpoint = ? ORDER BY id", (endpoint,))
    bodies: list[Any] = [json.loads(row["body"]) for row in rows]
    return [(body["type"], body["data"]["severity"]) for body in bodies]


def lend(eye: Eye, at_ms: int, endpoint: str = "ops") -> list[int]:
    return [each.id for each in lease_due(eye.connection, endpoint, at_ms, 100).deliveries]


def attempted(eye: Eye, *fates: tuple[int, Fate, str]) -> frozenset[str]:
    attempts = [Attempt(delivery, eye.now_ms, 7, outcome, None, fate) for delivery, fate, outcome in fates]
    record(eye.connection, attempts)
    return judge(eye.connection, eye.settings, attempts).endpoints


def test_what_is_for_a_paused_endpoint_waits_in_its_order_and_others_do_not() -> None:
    eye = owing()
    now = eye.now_ms
    committed = pause(eye.connection, eye.settings, "ops", now + HOUR, reason="r", by="w", at_ms=now)
    assert committed.endpoints == {"chat", "mail"}
    assert owed(eye, "chat") == [("endpoint.paused", "warning")]
    lease = lease_due(eye.connection, "ops", now + HOUR - 1, 100)
    assert (lease.deliveries, lease.next_due_ms) == ((), now + HOUR)
    assert len(lend(eye, now + 1, "chat")) == 1
    rows = eye.connection.execute("SELECT id FROM deliveries WHERE endpoint = 'ops' ORDER BY id")
    waiting = [row["id"] for row in rows]
    assert lend(eye, now + HOUR) == waiting
    assert len(waiting) == 4


def test_the_last_word_on_a_pause_counts_and_ends_it() -> None:
    eye = owing()
    now = eye.now_ms
    for until_ms in (now + HOUR, now + 1):
        pause(eye.connection, eye.settings, "ops", until_ms, reason="r", by="w", at_ms=now)
    assert len(lend(eye, now + 1)) == 4


def test_a_pause_takes_no_attempt_away() -> None:
    eye = owing()
    first, *_ = lend(eye, eye.now_ms)
    attempted(eye, (first, Again(eye.now_ms + 5_000), "timeout"))
    pause(eye.connection, eye.settings, "ops", eye.now_ms + HOUR, reason="r", by="w", at_ms=eye.now_ms)
    (left,) = [
        each for each in lease_due(eye.connection, "ops", eye.now_ms + HOUR, 9).deliveries if each.id == first
    ]
    assert left.attempts == 1


def test_a_dead_letter_is_told_once_to_the_others_and_its_end_with_the_next_success() -> None:
    eye = owing()
    first, second, third, fourth = lend(eye, eye.now_ms)
    assert attempted(eye, (first, Again(eye.now_ms + 5_000), "timeout")) == frozenset()
    assert attempted(eye, (second, Dead(), "status_4xx"), (third, Dead(), "status_4xx")) == {"chat", "mail"}
    assert owed(eye, "chat") == owed(eye, "mail") == [("endpoint.failed", "warning")]
    assert attempted(eye, (fourth, Accepted(), "delivered")) == {"chat", "mail"}
    assert owed(eye, "mail") == [("endpoint.failed", "warning"), ("endpoint.recovered", "warning")]
    incidents = eye.connection.execute("SELECT DISTINCT incident FROM events WHERE type LIKE 'endpoint.%'")
    assert len(incidents.fetchall()) == 1
    assert [kind for kind, _ in owed(eye, "ops") if kind.startswith("endpoint.")] == []


def test_a_410_is_told_and_what_is_sent_by_hand_afterwards_ends_it() -> None:
    eye = owing()
    first, second, *_ = lend(eye, eye.now_ms)
    assert attempted(eye, (first, Refused(), "gone")) == {"chat", "mail"}
    revive(eye.connection, "ops")
    assert attempted(eye, (second, Accepted(), "delivered")) == {"chat", "mail"}


def test_two_that_fail_tell_of_each_other_and_do_not_go_on_for_ever() -> None:
    eye = owing()
    first, *_ = lend(eye, eye.now_ms)
    attempted(eye, (first, Dead(), "status_4xx"))
    (told,) = lend(eye, eye.now_ms + 100, "chat")
    assert attempted(eye, (told, Dead(), "status_4xx")) == {"ops", "mail"}
    (news, other) = lend(eye, eye.now_ms + 100, "mail")
    assert attempted(eye, (news, Dead(), "status_4xx"), (other, Dead(), "status_4xx")) == {"ops", "chat"}
    (last,) = lend(eye, eye.now_ms + 100, "chat")
    assert attempted(eye, (last, Dead(), "status_4xx")) == frozenset()


def test_of_a_former_place_nothing_is_told_that_nobody_would_end() -> None:
    eye = owing()
    eye.connection.execute("UPDATE deliveries SET endpoint = 'ops.before.17'")
    first, *_ = lend(eye, eye.now_ms, "ops.before.17")
    assert attempted(eye, (first, Dead(), "connection")) == frozenset()
    assert eye.connection.execute("SELECT * FROM conditions").fetchall() == []


def test_what_was_on_its_way_when_a_410_came_does_not_end_it() -> None:
    eye = owing()
    first, second, third, _ = lend(eye, eye.now_ms)
    assert attempted(eye, (first, Refused(), "gone"), (second, Accepted(), "delivered")) == {"chat", "mail"}
    assert attempted(eye, (third, Accepted(), "delivered")) == frozenset()
    assert owed(eye, "chat") == [("endpoint.failed", "warning")]
    revive(eye.connection, "ops")
    (again,) = [
        row["id"]
        for row in eye.connection.execute(
            "SELECT id FROM deliveries WHERE state = 'dead' AND endpoint = 'ops' LIMIT 1"
        )
    ]
    assert attempted(eye, (again, Accepted(), "delivered")) == {"chat", "mail"}
