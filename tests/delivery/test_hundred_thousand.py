"""A hundred thousand events: to a fast receiver at its pace, to a dead one at the cost of rows alone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.bench.deliveries import deliveries
from tests.delivery.rig import target, webhook
from watcher.delivery.outbox import Outbox, Timing
from watcher.ledger.outbox import LedgerStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.delivery.rig import Ledger
    from watcher.core.outbox import Attempt
    from watcher.delivery.endpoint import HttpTarget

pytestmark = pytest.mark.fuzz

EVENTS: Final = 100_000
LEAST_RATIO: Final = 0.4
BODY: Final = '{"type": "tx.seen", "data": {"id": "' + "x" * 1_400 + '"}}'
# what the allocator, SQLite's page cache and what is lent out may take; the bodies are 150 MB
MOST_MIB: Final = 32


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


class Memory:
    """How much the process has taken since this was made, at most."""

    def __init__(self) -> None:
        self.began = self.most = resident_mib()

    def look(self) -> None:
        self.most = max(self.most, resident_mib())

    @property
    def grown(self) -> float:
        return self.most - self.began


@asynccontextmanager
async def measured() -> AsyncIterator[Memory]:
    memory = Memory()

    async def sample() -> None:
        while True:
            memory.look()
            await asyncio.sleep(0.1)

    sampling = asyncio.create_task(sample())
    try:
        yield memory
    finally:
        sampling.cancel()
        memory.look()


async def test_a_fast_receiver_has_them_at_four_tenths_of_a_bare_client_and_memory_is_flat(
    tmp_path: Path,
) -> None:
    pairs, folder = tmp_path / "pairs", tmp_path / "all"
    pairs.mkdir()
    folder.mkdir()
    small = await deliveries(pairs, events=5_000, repeats=5)  # also: what is taken once is taken
    async with measured() as memory:
        row = await deliveries(folder, events=EVENTS, repeats=1)
    (ours,), (bare,) = row.ours, row.theirs
    (cpu,) = row.beside.values()
    print(f"{ours:,.0f}/s of {bare:,.0f}/s: {ours / bare:.2f}; by CPU time {cpu:.2f};", end=" ")
    print(f"pairs of 5,000: {', '.join(f'{ratio:.2f}' for ratio in small.ratios)};", end=" ")
    print(f"memory grew by {memory.grown:.1f} MiB")
    # what others do to the machine meanwhile makes a pair worse at random: the best one tells of us
    assert max(ours / bare, *small.ratios) >= LEAST_RATIO
    assert memory.grown < MOST_MIB


async def test_a_dead_receiver_costs_rows_alone(ledger: Ledger) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        where = target(f"http://127.0.0.1:{reserved.getsockname()[1]}/")
        await attempted(ledger, where, "warm", 2_000)
        async with measured() as memory:
            await attempted(ledger, where, "ops", EVENTS)
    print(f"{EVENTS:,} attempts in vain; memory grew by {memory.grown:.1f} MiB")
    assert set(ledger.states("ops")) == {"pending"}
    assert memory.grown < MOST_MIB


async def attempted(ledger: Ledger, where: HttpTarget, endpoint: str, events: int) -> None:
    """Owe it so many, and return when each was tried, or as many attempts were made again."""
    ledger.owe_bodies(endpoint, [BODY] * events)
    made = 0
    enough = asyncio.Event()

    def observe(_endpoint: str, _attempt: Attempt, _seconds: float) -> None:
        nonlocal made
        made += 1
        if made == events:
            enough.set()

    async with webhook(where) as sender:
        timing = Timing(now=time.time, draw=lambda: 0.0)
        outbox = Outbox(LedgerStore(ledger.run), {endpoint: sender}, timing=timing, observer=observe)
        running = asyncio.create_task(outbox.run())
        async with asyncio.timeout(900):
            await enough.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
