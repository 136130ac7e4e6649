"""Random lives under random rules that change: who was told of an incident is told of every correction."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from tests.ledger.test_replay import RUNGS, TREASURIES, rules
from tests.walks.eye import FINALITY, Eye
from tests.walks.world import World
from watcher.core.rules import Policy

if TYPE_CHECKING:
    from watcher.core.events import Event

LOUDNESS: Final = ("info", "warning", "critical")


def lived(seed: int) -> Eye:
    """A life of 120 steps in which the rules are replaced now and then."""
    rng = Random(seed)
    world = World(seed, TREASURIES)
    eye = Eye(world, "one", rules(rng, RUNGS))
    for _ in range(120):
        if rng.random() < 0.05:
            policy = Policy(rules(rng, RUNGS), FINALITY, {"alpha": rng.choice([0, 1_000_000])})
            eye.settings = replace(eye.settings, policy=policy)
        world.step()
        if rng.random() < 0.7:
            eye.look()
    eye.settle()
    return eye


def told_of(eye: Eye, event: Event) -> dict[str, int]:
    """Who was told of it, and how loudly."""
    rows = eye.connection.execute(
        "SELECT endpoint, severity FROM deliveries WHERE webhook_id = ?", (event.id,)
    )
    return {row["endpoint"]: LOUDNESS.index(row["severity"]) for row in rows}


@pytest.mark.parametrize("seed", range(100, 115))
def test_every_correction_goes_to_all_who_were_told_at_least_as_loudly(seed: int) -> None:
    eye = lived(seed)
    corrections = [event for event in eye.events if event.correction]
    for event in corrections:
        before = eye.connection.execute(
            "SELECT endpoint, severity FROM deliveries WHERE incident = ? AND created_ms < ?",
            (event.incident, event.at_ms),
        )
        loudest: dict[str, int] = {}
        for row in before:
            level = LOUDNESS.index(row["severity"])
            loudest[row["endpoint"]] = max(level, loudest.get(row["endpoint"], 0))
        told = told_of(eye, event)
        assert all(told[endpoint] >= level for endpoint, level in loudest.items()), event
    assert len(corrections) > 3


@pytest.mark.parametrize("seed", range(100, 115))
def test_whoever_was_told_what_is_taken_back_is_told(seed: int) -> None:
    """Also of a child that falls with its parent, and with that into another incident."""
    eye = lived(seed)
    for event in eye.events:
        if event.correction and event.data["supersedes"]:
            told = told_of(eye, event)
            for row in eye.connection.execute(
                """SELECT d.endpoint, d.severity FROM deliveries d JOIN events e USING (sequence)
                   WHERE e.id = ?""",
                (event.data["supersedes"],),
            ):
                assert told.get(row["endpoint"], -1) >= LOUDNESS.index(row["severity"]), event


@pytest.mark.parametrize("seed", range(100, 115))
def test_no_rung_is_told_twice_to_an_endpoint(seed: int) -> None:
    eye = lived(seed)
    twice = eye.connection.execute(
        """SELECT endpoint, webhook_id FROM deliveries GROUP BY endpoint, webhook_id HAVING count(*) > 1
           UNION ALL
           SELECT endpoint, sequence || json_extract(body, '$.data.step') FROM deliveries
           GROUP BY 1, 2 HAVING count(*) > 1"""
    ).fetchall()
    assert [tuple(row) for row in twice] == []
    assert eye.connection.execute("SELECT count(*) FROM deliveries").fetchone()[0] > 20
