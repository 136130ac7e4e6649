"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from watcher.service.numbers import counted


@pytest.mark.parametrize(
    ("n", "noun", "said"),
    [
        (0, "event", "0 events"),
        (1, "event", "1 event"),
        (2, "event", "2 events"),
        (1, "treasury", "1 treasury"),
        (2, "treasury", "2 treasuries"),
        (1, "address", "1 address"),
        (3, "address", "3 addresses"),
        (2, "delivery", "2 deliveries"),
    ],
)
def test_the_noun_is_of_the_number(n: int, noun: str, said: str) -> None:
    assert counted(n, noun) == said
