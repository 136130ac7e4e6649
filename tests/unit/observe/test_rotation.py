"""A long list is asked for piece by piece."""

from __future__ import annotations

from watcher.bitcoin.types import ScriptHash
from watcher.observe.rotation import Rotation, pieces
from watcher.sources.costs import sweep_seconds

SCRIPTS = [ScriptHash(f"{n:064x}") for n in range(10)]


def test_every_script_has_its_turn_once_in_a_round() -> None:
    rotation = Rotation(SCRIPTS, 3, 0, 700)
    turns = [rotation.turn(now, 700) for now in (1, 2, 3)]
    assert sorted(script for turn in turns for script in turn) == SCRIPTS
    assert rotation.turn(4, 700) == turns[0]


def test_everything_was_asked_for_since_the_piece_that_waits_longest() -> None:
    rotation = Rotation(SCRIPTS, 3, 100, 700)
    for now, height in ((110, 701), (120, 703)):
        rotation.turn(now, height)
        assert (rotation.since_ms, rotation.since_height) == (100, 700)
    rotation.turn(130, 703)
    assert (rotation.since_ms, rotation.since_height) == (110, 701)


def test_what_was_asked_of_another_branch_counts_from_where_the_branches_part() -> None:
    rotation = Rotation(SCRIPTS, 2, 100, 700)
    rotation.turn(110, 702)
    rotation.turn(120, 703)
    rotation.reorganized(701)
    assert (rotation.since_ms, rotation.since_height) == (110, 701)
    rotation.turn(130, 704)
    assert rotation.since_height == 701


def test_an_empty_list_is_complete_at_once() -> None:
    rotation = Rotation([], 1, 5, 700)
    assert rotation.turn(9, 701) == []
    assert (rotation.since_ms, rotation.since_height) == (9, 701)


def test_a_sweep_costs_less_than_the_server_forgives() -> None:
    assert sweep_seconds(200) < 60
    for scripts in (1, 200, 1_000, 10_000):
        forgiven = 10_000 / (10_000 + 5 * scripts) * sweep_seconds(scripts)
        assert 0.24 * scripts < forgiven
    assert pieces(sweep_seconds(1_000), 60) == 7
    assert pieces(0, 60) == 1
