"""How far our clock is from the others'."""

from __future__ import annotations

from watcher.app.clock import Clock
from watcher.bitcoin.types import BlockHash, BlockRef
from watcher.core.observation import ChainChange, Observation
from watcher.sources.health import HealthRecord

NOW = 1_795_521_600


def block(height: int, mined: int) -> Observation:
    def ref(at_height: int) -> BlockRef:
        return BlockRef(at_height, BlockHash(f"{at_height:064x}"))

    header = bytes(68) + mined.to_bytes(4, "little") + bytes(8)
    change = ChainChange(ref(height - 1), ref(height - 1), ref(height), (header,), ref(height).hash)
    return Observation(
        at_ms=NOW * 1000, tip=ref(height), chain=change, sightings={}, readings={}, caught_up_from=100
    )


def test_what_sources_say_goes_before_what_miners_say() -> None:
    clock = Clock()
    assert clock.skew([None, None]) is None
    for height in range(101, 112):
        clock.heard(block(height, NOW - 600))
    assert clock.skew([]) == 600
    assert clock.skew([None, 3.0, -1.0, 400.0]) == 3.0


def test_one_miner_or_ten_prove_nothing_and_what_was_mined_before_does_not_count() -> None:
    clock = Clock()
    for height in range(90, 101):
        clock.heard(block(height, NOW - 86_400))
    assert clock.skew([]) is None
    for height in range(101, 111):
        clock.heard(block(height, NOW - 20))
    assert clock.skew([]) is None
    clock.heard(block(111, NOW + 7_000))
    assert clock.skew([]) == 20


def test_a_sources_date_is_its_clock() -> None:
    record = HealthRecord()
    for nothing in (None, "", "yesterday", "Tue, 99 Foo 2026 00:00:00 GMT"):
        record.told_the_time(nothing, NOW)
        assert record.read("home", 0).clock_skew is None
    record.told_the_time("Tue, 24 Nov 2026 12:00:00 GMT", NOW + 90.5)
    assert record.read("home", 0).clock_skew == 90.0
