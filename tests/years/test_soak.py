"""Hours among faults leave the daemon as it was: memory, descriptors and tasks do not grow.

`SOAK_SECONDS` sets the length (default 90 minutes). The first sixth, at least five minutes where there are
as many, warms up: the allocator's arenas and the connections fill. What is held of a growing ledger is no
leak: SQLite keeps its pages in the caches of the writer and of the reader, 18 MB at most.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from tests.daemon.toy_life import balance
from tests.stack.processes import until
from tests.years.figures import HOUR, floors, slope
from tests.years.soak import TREASURIES, soaking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.years.figures import Sample
    from tests.years.soak import Soak

pytestmark = pytest.mark.fuzz

SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "5400"))
WARM_UP: Final = max(min(300.0, SECONDS / 3), SECONDS / 6)
RESIDENT: Final = 6_000_000  # bytes an hour beyond what two caches hold of the ledger's growth
COUNTED: Final = 2.0  # descriptors, threads or tasks more at the end of the line than at its beginning
PIECE: Final = 100.0  # seconds, in which faults end and bursts of work are done


async def test_a_soak_with_faults_on_leaves_memory_descriptors_and_tasks_as_they_were(tmp_path: Path) -> None:
    seed = 20_261_124
    async with soaking(Random(seed), tmp_path) as soak:
        await soak.play(SECONDS)
        await soak.quiet()
        warm = [sample for sample in soak.samples if sample.at >= WARM_UP]
        grown = growth(warm)
        report = {"seconds": SECONDS, "faults": dict(soak.faults), "height": soak.chain.height, **grown}
        samples = [asdict(sample) for sample in soak.samples]
        (tmp_path / "soak.json").write_text(json.dumps({**report, "samples": samples}))
        print(json.dumps(report))
        await the_book_is_right(soak)
        hours = (warm[-1].at - warm[0].at) / HOUR
        assert (grown["resident an hour"] - 2 * grown["ledger an hour"]) * min(hours, 1.0) < RESIDENT, report
        for what in ("descriptors", "threads", "tasks"):
            series = [(sample.at, float(getattr(sample, what))) for sample in warm]
            assert slope(floors(series, PIECE)) * hours < COUNTED, report
        assert await soak.daemon.terminate() == 0
    assert "Traceback" not in soak.daemon.child.log.read_text()


def growth(samples: list[Sample]) -> dict[str, float]:
    """The slope of each figure, its first and its last value."""
    grown = {}
    for what in ("resident", "descriptors", "threads", "tasks", "ledger"):
        series = [(sample.at, float(getattr(sample, what))) for sample in samples]
        grown[f"{what} an hour"] = slope(series)
        grown[f"{what} first"], grown[what] = series[0][1], series[-1][1]
    return grown


async def the_book_is_right(soak: Soak) -> None:
    """After all of it: the balances are the chain's, and `verify` holds."""

    async def right() -> bool:
        for name, scripts in TREASURIES.items():
            found = [
                await soak.daemon.metric(
                    "watcher_treasury_balance_satoshis", treasury=name, position=position
                )
                for position in ("confirmed", "pending")
            ]
            if tuple(found) != balance(soak.chain, scripts):
                return False
        return True

    await until(right, within=180, what="the balances of the chain")
    done = await soak.daemon.command("verify", within=300)
    assert done.code == 0, done.out
    assert await soak.daemon.metric("watcher_outbox_dead", endpoint="ops") == 0
