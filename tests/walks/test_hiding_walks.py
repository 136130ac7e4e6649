"""The judge of the ledger: lives in which first readings lack something that is shown later."""

from __future__ import annotations

import pytest

from tests.walks.walk import BATCH, MANY, QUICK, USUAL, walk


@pytest.mark.parametrize(
    "seed",
    [*range(QUICK), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(QUICK, USUAL // 4))],
)
def test_a_walk_that_begins_without_some_coins_ends_where_a_naive_recomputation_ends(seed: int) -> None:
    walk(seed, changing=True, hiding=True)


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(USUAL, USUAL + MANY, BATCH))
def test_a_hundred_walks_more(first: int) -> None:
    for seed in range(first, first + BATCH):
        walk(seed, changing=True, hiding=True)
