"""A long list is asked for piece by piece."""

from __future__ import annotations

from watcher.bitcoin.types import ScriptHash
from watcher.observe.rotation import Rotation, pieces
from watcher.sources.costs import sweep_seconds

SCRIPTS = [ScriptHash(f"{n:064x}") for n in range(10)]


def test_every_script_has_its_turn_once_in_a_round() -> None:
    rotation = Rotation(SCRIPTS, 3, 0)
    turns = [rotation.turn(now) for now in (1, 2, 3)]
    assert sorted(script for turn in turns for script in turn) == SCRIPTS
    assert rotation.turn(4) == turns[0]


def test_everything_was_asked_for_since_the_piece_that_waits_longest() -> None:
    rotation = Rotation(SCRIPTS, 3, 100)
    assert rotation.since_ms == 100
    for now in (110, 120):
        rotation.turn(now)
    assert rotation.since_ms == 100
    rotation.turn(130)
    assert rotation.since_ms == 110


def test_an_empty_list_is_complete_at_once() -> None:
    rotation = Rotation([], 1, 5)
    assert rotation.turn(9) == []
    assert rotation.since_ms == 9


def test_a_sweep_costs_less_than_the_server_forgives() -> None:
    assert sweep_seconds(200) < 60
    for scripts in (1, 200, 1_000, 10_000):
        forgiven = 10_000 / (10_000 + 5 * scripts) * sweep_seconds(scripts)
        assert 0.24 * scripts < forgiven
    assert pieces(sweep_seconds(1_000), 60) == 7
    assert pieces(0, 60) == 1
