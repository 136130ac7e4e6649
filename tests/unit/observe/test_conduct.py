"""Strikes, quarantine and what was left out, with a clock that the test moves."""

from __future__ import annotations

from watcher.bitcoin.types import ScriptHash, Txid
from watcher.observe.conduct import Conduct

SCRIPT, OTHER = ScriptHash("11" * 32), ScriptHash("22" * 32)
TX = Txid("aa" * 32)


class Clock:
    """Seconds, as the test sets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_two_strikes_are_not_enough_and_three_in_half_an_hour_are() -> None:
    conduct = Conduct(clock := Clock(), 30)
    assert not conduct.strike("a", "merkle")
    clock.now = 900
    assert not conduct.strike("a", "status")
    assert conduct.quarantined_for("a") == 0
    clock.now = 1_800
    assert conduct.strike("a", "merkle")
    assert conduct.quarantined_for("a") == 600
    assert conduct.convicted_of("a") == "merkle"
    assert conduct.strikes == {("a", "merkle"): 2, ("a", "status"): 1}


def test_old_strikes_weigh_less() -> None:
    conduct = Conduct(clock := Clock(), 30)
    for hour in range(20):
        clock.now = hour * 3_600.0
        assert not conduct.strike("a", "merkle")


def test_each_quarantine_is_twice_as_long_up_to_six_hours() -> None:
    conduct = Conduct(clock := Clock(), 30)
    lengths = []
    for _ in range(8):
        assert conduct.strike("a", "signature")
        lengths.append(conduct.quarantined_for("a"))
        clock.now += lengths[-1]
        assert conduct.quarantined_for("a") == 0
    assert lengths == [600, 1_200, 2_400, 4_800, 9_600, 19_200, 21_600, 21_600]
    clock.now += 7 * 3_600
    conduct.strike("a", "signature")
    assert conduct.quarantined_for("a") == 600


def test_what_is_missing_twice_a_second_look_apart_is_omitted() -> None:
    conduct = Conduct(clock := Clock(), 30)
    assert conduct.read("a", SCRIPT, [TX]) is None
    assert conduct.to_look_at_again("a") == {SCRIPT}
    clock.now = 29
    assert conduct.read("a", SCRIPT, [TX]) is None
    clock.now = 30
    assert conduct.read("a", SCRIPT, [TX]) == TX


def test_what_is_there_the_second_time_was_a_race() -> None:
    conduct = Conduct(clock := Clock(), 30)
    conduct.read("a", SCRIPT, [TX])
    conduct.read("a", OTHER, [TX])
    clock.now = 30
    assert conduct.read("a", SCRIPT, []) is None
    assert conduct.to_look_at_again("a") == {OTHER}
    clock.now = 60
    assert conduct.read("a", SCRIPT, [TX]) is None  # it counts from the beginning


def test_a_source_is_absolved_when_it_leaves_out_nothing_and_its_time_is_over() -> None:
    conduct = Conduct(clock := Clock(), 30)
    conduct.strike("a", "signature")
    conduct.absolve("a")
    assert conduct.convicted_of("a") == "signature"
    clock.now = 601
    conduct.read("a", SCRIPT, [TX])
    conduct.absolve("a")
    assert conduct.convicted_of("a") == "signature"
    conduct.read("a", SCRIPT, [])
    conduct.absolve("a")
    assert conduct.convicted_of("a") is None


def test_a_released_source_is_asked_again_at_once() -> None:
    conduct = Conduct(Clock(), 30)
    assert not conduct.release("a")
    conduct.strike("a", "signature")
    assert conduct.release("a")
    assert conduct.quarantined_for("a") == 0


def test_what_was_missing_on_a_script_that_is_not_asked_for_any_more_is_forgotten() -> None:
    conduct = Conduct(clock := Clock(), 30)
    conduct.read("a", SCRIPT, [TX])
    conduct.strike("a", "omitted")
    clock.now = 601
    conduct.forget("a", {OTHER})
    conduct.absolve("a")
    assert conduct.convicted_of("a") == "omitted"
    conduct.forget("a", {SCRIPT})
    conduct.absolve("a")
    assert conduct.convicted_of("a") is None
