"""A script of 80,000 transactions through the whole daemon: what it takes, and whom it keeps waiting."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.places import ALPHA, Place, fresh
from tests.hostile.busy import PAID, busy_chain
from tests.hostile.test_hunger import MOST_MB
from tests.stack.processes import Child, until
from tests.toy.electrum import ToyElectrum
from watcher.observe.slices import A_SLICE

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon

ROOT = Path(__file__).parents[2]
TRANSACTION = "blockchain.transaction.get"


async def read(folder: Path, transactions: int, *, within: float) -> dict[str, Any]:
    """What the sampled daemon told of itself once it had read a history of so many from its own server."""
    async with ToyElectrum(busy_chain(ALPHA, transactions)) as server:
        place = Place(folder, {"home": server.url})
        daemon = place.daemon(place.config().replace("[[sources]]\n", "[[sources]]\ntrusted = true\n"))
        child = Child(
            [sys.executable, "-m", "tests.hostile.sampled", daemon.path, folder / "told.json"],
            log=folder / "sampled.log",
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        child.start()
        try:
            await child.ready(daemon.ready, within=180)

            async def is_whole() -> bool:
                return await balance_of(daemon) == PAID * transactions

            await until(is_whole, within=within, what="the whole balance")
            await fresh(daemon)
            assert await child.terminate(within=120) == 0
        finally:
            child.kill()
    told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return told


async def balance_of(daemon: Daemon) -> float | None:
    return await daemon.metric("watcher_treasury_balance_satoshis", treasury="alpha", position="confirmed")


@pytest.mark.slow
async def test_a_script_of_a_thousand_is_read_whole(tmp_path: Path) -> None:
    told = await read(tmp_path, 1_000, within=240)
    assert told["samples"] > 10


@pytest.mark.slow
async def test_a_kill_amid_a_long_first_reading_loses_nothing_and_tells_nothing(tmp_path: Path) -> None:
    many = 4 * A_SLICE
    async with ToyElectrum(busy_chain(ALPHA, many)) as server:
        place = Place(tmp_path, {"home": server.url})
        async with place.daemon(
            place.config().replace("[[sources]]\n", "[[sources]]\ntrusted = true\n")
        ) as daemon:

            async def has_begun() -> bool:  # the third is fetched when the first is committed
                return server.counts[TRANSACTION] > 3 * A_SLICE

            await until(has_begun, within=120, what="the third slice")
            daemon.kill()
            server.counts.clear()
            await daemon.start()

            async def is_whole() -> bool:
                return await balance_of(daemon) == PAID * many

            await until(is_whole, within=240, what="the whole balance")
            assert server.counts[TRANSACTION] <= many - A_SLICE  # at least one was committed
            events = [event for event in await daemon.events() if event["data"].get("treasury") == "alpha"]
            assert [event["type"] for event in events] == ["watch.baselined"]
            verified = await daemon.command("verify")
            assert verified.code == 0, verified


@pytest.mark.fuzz
async def test_a_script_of_eighty_thousand_keeps_nobody_waiting_and_takes_little(tmp_path: Path) -> None:
    told = await read(tmp_path, 80_000, within=600)
    print(told)
    assert told["highest_mb"] < MOST_MB, told
    # of this process's own time: what other processes take of the machine is not its doing
    assert told["cpu_ms"]["p99.9"] <= 50, told
