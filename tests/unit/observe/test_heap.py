"""What a long reading piles up is not looked at meanwhile, and what was set apart for good stays apart."""

from __future__ import annotations

import gc

from watcher.observe.heap import piling_up


def test_the_last_of_several_readings_puts_back_what_was() -> None:
    before = gc.get_threshold()
    one, two = piling_up(), piling_up()
    one.__enter__()
    two.__enter__()
    assert gc.get_threshold()[:2] == before[:2]
    assert gc.get_threshold()[2] > 1_000_000
    one.__exit__(None, None, None)
    assert gc.get_threshold()[2] > 1_000_000
    two.__exit__(None, None, None)
    assert gc.get_threshold() == before


def test_what_the_program_set_apart_stays_apart() -> None:
    gc.collect()
    gc.freeze()
    try:
        apart = gc.get_freeze_count()
        with piling_up():
            gc.collect(1)
        # less what was freed by its count alone
        assert apart * 0.9 < gc.get_freeze_count() <= apart
    finally:
        gc.unfreeze()
