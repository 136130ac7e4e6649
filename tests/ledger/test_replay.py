"""The log judged anew by the same rules gives what was sent; nothing is written by it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from tests.walks.eye import Eye
from tests.walks.world import World, script
from watcher.core.rules_types import Rule, Rung, Severity, Topic
from watcher.ledger.replay import replay

TREASURIES = {name: [script(f"{name} {i}") for i in range(3)] for name in ("alpha", "beta")}
RUNGS: tuple[Rung, ...] = ("seen", "confirmed", 2, 3, "final")
TOPICS = (Topic.INFLOW, Topic.OUTFLOW, Topic.INTERNAL, Topic.CHAIN, Topic.WATCH, Topic.FIRST_SPEND)


def rules(rng: Random, rungs: tuple[Rung, ...]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            name=f"rule {i}",
            on=tuple(rng.sample(TOPICS, rng.randint(1, 4))),
            treasuries=(rng.choice(["*", "alpha", "beta"]),),
            min_sats=rng.choice([0, 0, 1_000_000]),
            at=tuple(rng.sample(rungs, rng.randint(1, len(rungs)))),
            severity=rng.choice(list(Severity)),
            send_to=tuple(rng.sample(["ops", "chat", "mail"], rng.randint(1, 2))),
            dormant_days=None,
            btc_sats=None,
            for_seconds=0,
        )
        for i in range(4)
    )


def lived(seed: int, rungs: tuple[Rung, ...]) -> Eye:
    """A life of a hundred steps under random rules."""
    world = World(seed, TREASURIES)
    eye = Eye(world, "one", rules(Random(seed), rungs))
    for _ in range(100):
        world.step()
        if world.rng.random() < 0.7:
            eye.look()
    eye.settle()
    return eye


def sent(eye: Eye) -> set[tuple[Any, ...]]:
    rows = eye.connection.execute("SELECT endpoint, webhook_id, severity, body FROM deliveries").fetchall()
    return {
        (row["endpoint"], row["webhook_id"], row["severity"], tuple(json.loads(row["body"])["data"]["rules"]))
        for row in rows
    }


def replayed(eye: Eye) -> set[tuple[Any, ...]]:
    before = eye.connection.total_changes
    notices = list(replay(eye.connection, eye.settings.policy))
    assert eye.connection.total_changes == before
    found = {(n.endpoint, n.webhook_id, str(n.severity), n.rules) for n in notices}
    assert len(found) == len(notices)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_the_rules_of_then_give_what_was_sent(seed: int) -> None:
    eye = lived(seed, ("seen", "confirmed", "final"))
    assert replayed(eye) == sent(eye)
    assert len(sent(eye)) > 20


@pytest.mark.parametrize("seed", range(12, 18))
def test_a_rung_between_two_events_changes_nothing_of_the_others(seed: int) -> None:
    eye = lived(seed, RUNGS)
    would = replayed(eye)
    assert {each for each in would if "." not in each[1]} == {e for e in sent(eye) if "." not in e[1]}
    confirmed = {e.id for e in eye.events if e.type == "tx.confirmed"}
    between = {webhook_id for _, webhook_id, _, _ in would if "." in webhook_id}
    assert {webhook_id.partition(".")[0] for webhook_id in between} <= confirmed
