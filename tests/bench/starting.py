"""From exec to fresh: with nothing known, and again with nothing changed. Time, CPU and memory."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.place import ASKED_EVERY, Watched, cpu_seconds, fresh, payments, resident_mb, scripts
from tests.bench.result import Row, median
from tests.stack.processes import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.stack.daemon import Daemon
    from tests.stack.regtest import Regtest

_ROOT: Final = Path(__file__).parents[2]
_WITH_A_HISTORY: Final = 50


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from exec until all is read, seconds of CPU, millions of bytes."""

    seconds: float
    cpu: float
    resident: float


async def starting(regtest: Regtest, folder: Path, *, sizes: tuple[int, int], repeats: int) -> list[Row]:
    """Start and restart at two sizes, and what one address more costs in memory; 50 have a history."""
    port = regtest.electrumx.port
    drafts = await payments(regtest, scripts(_WITH_A_HISTORY, "starting"))
    for draft in drafts:
        await regtest.chain.send(draft)
    await regtest.chain.mine()
    await regtest.electrumx.synced()
    first: dict[int, list[tuple[Start, Start]]] = {}
    again: dict[int, list[tuple[Start, Start]]] = {}
    for size in sizes:
        watched = Watched(folder / str(size), regtest.electrumx.url, scripts(size, "starting"))
        first[size], again[size] = [], []
        for number in range(repeats):
            state = f"state {number}"
            bare = partial(bare_started, port, watched)
            ours = await ours_started(watched, state)
            first[size].append((ours, await bare(transactions=_WITH_A_HISTORY)))
            again[size].append((await ours_started(watched, state), await bare()))
    rows = [row_of_starts(f"start, {size:,} addresses", first[size], "subscribe and fetch") for size in sizes]
    rows += [row_of_starts(f"restart, {size:,} addresses", again[size], "subscribe") for size in sizes]
    return [*rows, *_for_each_more(sizes, first)]


def row_of_starts(name: str, pairs: Sequence[tuple[Start, Start]], does: str) -> Row:
    """Seconds, with CPU time and memory beside them."""
    return Row(
        name=name,
        unit="s",
        more_is_better=False,
        ours=tuple(ours.seconds for ours, _ in pairs),
        reference=f"bare client: {does}",
        theirs=tuple(bare.seconds for _, bare in pairs),
        beside={
            "CPU s": median([ours.cpu for ours, _ in pairs]),
            "CPU s of the bare client": median([bare.cpu for _, bare in pairs]),
            "MB": median([ours.resident for ours, _ in pairs]),
            "MB of the bare client": median([bare.resident for _, bare in pairs]),
        },
    )


def _for_each_more(sizes: tuple[int, int], starts: dict[int, list[tuple[Start, Start]]]) -> tuple[Row, Row]:
    """What is left when the cost of starting a program at all is taken away.

    The bare client's CPU is too little to tell from noise this way; ours stands beside the time.
    """
    more = sizes[1] - sizes[0]
    pairs = list(zip(starts[sizes[0]], starts[sizes[1]], strict=True))

    def each(side: int, read: Callable[[Start], float]) -> tuple[float, ...]:
        return tuple((read(large[side]) - read(small[side])) / more for small, large in pairs)

    def row(name: str, unit: str, read: Callable[[Start], float], **beside: float) -> Row:
        reference = "bare client: subscribe and fetch"
        return Row(name, unit, False, each(0, read), reference, each(1, read), beside)

    cpu = median(each(0, lambda start: start.cpu * 1e6))
    return (
        row(
            "start, time of each further address", "µs", lambda start: start.seconds * 1e6, **{"CPU µs": cpu}
        ),
        row("start, memory of each further address", "kB", lambda start: start.resident * 1e3),
    )


async def ours_started(watched: Watched, state: str) -> Start:
    """From exec until all is read, this time."""
    daemon = watched.daemon(state)
    daemon.write_config()
    began, began_at = time.monotonic(), time.time()
    daemon.child.start()
    try:
        await fresh(daemon, within=600)
        await _read_since(daemon, began_at)
        seconds = time.monotonic() - began
        figures = Start(seconds, cpu_seconds(daemon.child.pid), resident_mb(daemon.child.pid))
        await daemon.terminate()
    finally:
        daemon.kill()
    return figures


async def _read_since(daemon: Daemon, began_at: float) -> None:
    """Until the source has answered for every script and all is proven: `/freshz` is there before either."""

    async def read() -> bool:
        complete = await daemon.metric("watcher_treasury_complete_timestamp_seconds", treasury="bench")
        unproven = await daemon.metric("watcher_treasury_unproven_transactions", treasury="bench")
        return complete is not None and complete >= began_at and unproven == 0

    await until(read, within=1_800, what="an answer for every script, and the last proof", every=ASKED_EVERY)


async def bare_started(port: int, watched: Watched, *, transactions: int = 0) -> Start:
    """Subscribed to all and, if any are expected, their transactions fetched."""
    words = [str(port), str(watched.scripthashes), *(["--histories"] if transactions else [])]
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.bare", *words), stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    out, _ = await process.communicate()
    seconds = time.monotonic() - began
    told = json.loads(out)
    if told["transactions"] != transactions:
        raise RuntimeError(f"the bare client fetched {told['transactions']} transactions")
    return Start(seconds, told["cpu"], told["rss_kib"] * 1024 / 1e6)
