"""The list in memory: what is asked of it after each ring costs the same for one script and for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from watcher.bitcoin.types import ScriptHash
from watcher.observe.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Iterator

ALPHA, BETA = ScriptHash("aa" * 32), ScriptHash("bb" * 32)


class Whole(frozenset[ScriptHash]):
    """All that a source may be asked for, which nobody goes through."""

    def __iter__(self) -> Iterator[NoReturn]:
        raise AssertionError("a hundred thousand scripts, after each ring")


def test_whose_all_is_that_a_source_may_be_asked_for_is_known_without_going_through_it() -> None:
    listing = Listing(
        treasuries={ALPHA: "alpha", BETA: "beta"},
        by_source={"own": Whole([ALPHA, BETA]), "public": Whole([BETA])},
        names_by_source={"own": frozenset({"alpha", "beta"}), "public": frozenset({"beta"})},
    )
    assert listing.treasuries_of(listing.of("own")) == {"alpha", "beta"}
    assert listing.treasuries_of(listing.of("public")) == {"beta"}


def test_whose_some_scripts_are_is_looked_up_without_those_that_left() -> None:
    listing = Listing(treasuries={ALPHA: "alpha"}, by_source={"own": frozenset({ALPHA})})
    assert listing.treasuries_of(frozenset({ALPHA, BETA})) == {"alpha"}
