"""What is to be read comes in parts: what rang first, what was read before not behind what never was."""

from __future__ import annotations

from watcher.bitcoin.types import ScriptHash
from watcher.observe.triage import SCRIPTS_A_COMMIT, Triage

KNOWN, KNOWN_TOO, NEW, NEW_TOO = (ScriptHash(f"{n:064x}") for n in range(4))
UNREAD = {NEW, NEW_TOO}


def parts(triage: Triage, dirty: set[ScriptHash]) -> list[set[ScriptHash]]:
    """The parts until nothing is left to be tried, when none of them can be read."""
    found = []
    is_more = True
    while is_more:
        part = triage.part(dirty, set(), unread=UNREAD, in_hand=set())
        found.append(set(part))
        is_more = triage.tried(part, dirty)
    return found


def test_what_was_read_before_comes_first_and_never_together_with_what_was_not() -> None:
    assert parts(Triage(), {KNOWN, NEW, KNOWN_TOO}) == [{KNOWN, KNOWN_TOO}, {NEW}]


def test_what_cannot_be_read_is_tried_again_when_all_the_rest_has_been() -> None:
    triage = Triage()
    for _ in range(2):
        assert parts(triage, {KNOWN, NEW}) == [{KNOWN}, {NEW}]


def test_what_rings_is_tried_again_at_once_and_comes_first() -> None:
    triage, dirty = Triage(), {ScriptHash(f"{n:064x}") for n in range(10, 10 + 2 * SCRIPTS_A_COMMIT)}
    part = triage.part(dirty, set(), unread=set(), in_hand=set())
    assert triage.tried(part, dirty)
    rang = part[-1]
    again = triage.part(dirty, {rang}, unread=set(), in_hand=set())
    assert again[0] == rang
    assert len(again) == SCRIPTS_A_COMMIT
    assert not set(again[1:]) & set(part)


def test_what_is_dirty_again_and_again_does_not_keep_a_first_reading_waiting() -> None:
    triage, dirty = Triage(), {KNOWN, NEW}
    assert triage.part(dirty, {KNOWN}, unread=UNREAD, in_hand=set()) == [KNOWN]
    assert triage.tried([KNOWN], dirty)
    assert triage.part(dirty, {KNOWN}, unread=UNREAD, in_hand=set()) == [NEW]


def test_what_another_source_has_in_hand_is_left_to_it() -> None:
    triage = Triage()
    assert triage.part({NEW, NEW_TOO}, set(), unread=UNREAD, in_hand={NEW}) == [NEW_TOO]
    assert not triage.tried([NEW_TOO], {NEW})
    assert not triage.part({NEW}, set(), unread=UNREAD, in_hand={NEW})
