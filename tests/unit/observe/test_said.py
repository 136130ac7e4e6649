"""A source that tells statuses of which its own histories know nothing, and one whose scripts are busy."""

from __future__ import annotations

import pytest

from watcher.bitcoin.types import ScriptHash
from watcher.core.observation import Reading
from watcher.observe.facts import Facts
from watcher.observe.listing import Listing
from watcher.observe.said import ODD_STATUSES, Said
from watcher.sources.base import Misbehaved

SCRIPT = ScriptHash("ab" * 32)
LISTING = Listing(treasuries={SCRIPT: "alpha"})


def read(said: Said, status: str) -> None:
    said.judge(Facts({SCRIPT: Reading(SCRIPT, frozenset(), status)}))


def test_a_status_that_its_history_never_has_is_a_strike() -> None:
    said = Said()
    for number in range(ODD_STATUSES - 1):
        assert said.take(SCRIPT, f"told {number}", LISTING)
        read(said, "read")
    assert said.take(SCRIPT, "told", LISTING)
    with pytest.raises(Misbehaved):
        read(said, "read")


@pytest.mark.parametrize("rings_first", [True, False])
def test_what_rang_between_the_status_and_the_history_explains_that_they_differ(*, rings_first: bool) -> None:
    said = Said()
    for number in range(2 * ODD_STATUSES):
        assert said.take(SCRIPT, f"told {number}", LISTING)
        if rings_first:
            said.rang({SCRIPT})
        read(said, f"read {number}")
        said.rang({SCRIPT})
