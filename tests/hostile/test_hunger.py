"""The daemon stays small, alive and fresh under everything that anybody sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import fresh
from tests.hostile.hunger import ABUSES, prey

if TYPE_CHECKING:
    from pathlib import Path

MOST_MB = 256
LONG = tuple(name for name in ABUSES if "history" in name)
FEW = (
    "a batch of less than answers",
    "lines that do not end",
    "a long branch",
    "fabricated inflows one at a time",
)


async def abused(folder: Path, names: list[str], hostile: int) -> dict[str, float]:
    """The highest memory under each, in millions of bytes."""
    highest: dict[str, float] = {}
    async with prey(folder, hostile) as here:
        for at, name in enumerate(names):
            if at:  # else it would wait ever longer before it connects again, and would not ask who lied
                await here.starts_anew()
            pid = here.daemon.child.pid
            here.forget_highest()
            await ABUSES[name](here)
            highest[name] = here.highest_mb()
            await here.makes_peace()
            print(f"{highest[name]:6.1f} MB  {name}", flush=True)
            await fresh(here.daemon)
            assert here.daemon.child.pid == pid
            assert here.daemon.child.running
    return highest


@pytest.mark.slow
async def test_a_few_abuses_by_two_servers_leave_it_small(tmp_path: Path) -> None:
    highest = await abused(tmp_path, list(FEW), 2)
    assert max(highest.values()) < MOST_MB, highest


@pytest.mark.fuzz
async def test_every_abuse_by_eight_servers_leaves_it_small(tmp_path: Path) -> None:
    highest = await abused(tmp_path, [name for name in ABUSES if name not in LONG], 8)
    assert max(highest.values()) < MOST_MB, highest


@pytest.mark.fuzz
async def test_long_histories_of_eight_servers_leave_it_small(tmp_path: Path) -> None:
    highest = await abused(tmp_path, list(LONG), 8)
    assert max(highest.values()) < MOST_MB, highest
