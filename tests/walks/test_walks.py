"""The judge of the ledger: lives in which the watch list stays as it is."""

from __future__ import annotations

import pytest

from tests.walks.walk import BATCH, MANY, QUICK, USUAL, walk


@pytest.mark.parametrize(
    "seed", [*range(QUICK), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(QUICK, USUAL))]
)
def test_a_walk_ends_where_a_naive_recomputation_ends(seed: int) -> None:
    walk(seed, changing=False)


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(USUAL, USUAL + MANY, BATCH))
def test_a_hundred_walks_more(first: int) -> None:
    for seed in range(first, first + BATCH):
        walk(seed, changing=False)
