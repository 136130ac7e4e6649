"""The judge of the ledger: lives in which the watch list changes. A file apart, for a second process."""

from __future__ import annotations

import pytest

from tests.walks.walk import BATCH, MANY, QUICK, USUAL, walk


@pytest.mark.parametrize(
    "seed", [*range(QUICK), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(QUICK, USUAL))]
)
def test_a_walk_with_a_changing_list_ends_where_a_naive_recomputation_ends(seed: int) -> None:
    walk(seed, changing=True)


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(USUAL, USUAL + MANY, BATCH))
def test_a_hundred_walks_more(first: int) -> None:
    for seed in range(first, first + BATCH):
        walk(seed, changing=True)
