"""Nothing happens: what it costs to go on watching."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.place import Watched, cpu_seconds, fresh, scripts
from tests.bench.result import Row, median

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon
    from tests.stack.regtest import Regtest

_SECONDS: Final = 15  # a sample
_LIMIT: Final = 0.01  # of a core


async def idle(regtest: Regtest, folder: Path, *, watched: int, repeats: int) -> Row:
    """CPU at a re-read of an hour; beside it the same at a minute, and what is written between blocks."""
    place = Watched(folder, regtest.electrumx.url, scripts(watched, "idle"))
    async with place.daemon() as daemon:
        await fresh(daemon, within=900)
        rare = [await _sample(daemon) for _ in range(repeats)]
    async with place.daemon(reread="60s") as daemon:
        await fresh(daemon, within=900)
        often = [await _sample(daemon) for _ in range(60 // _SECONDS)]
    return Row(
        name=f"idle, {watched:,} addresses, CPU of a core",
        unit="%",
        more_is_better=False,
        ours=tuple(100 * cpu for cpu, _ in rare),
        reference="the limit that was set",
        theirs=(100 * _LIMIT,) * repeats,
        beside={
            "at a re-read of 60 s, %": 100 * sum(cpu for cpu, _ in often) / len(often),
            "bytes written a second": median([written for _, written in rare]),
        },
    )


async def _sample(daemon: Daemon) -> tuple[float, float]:
    """The share of a core, and the bytes written a second, over a while."""
    pid = daemon.child.pid
    cpu, written = cpu_seconds(pid), _written(pid)
    await asyncio.sleep(_SECONDS)
    return (cpu_seconds(pid) - cpu) / _SECONDS, (_written(pid) - written) / _SECONDS


def _written(pid: int) -> int:
    """Bytes that it caused to be sent to the disk."""
    return int(Path(f"/proc/{pid}/io").read_text().partition("\nwrite_bytes:")[2].split()[0])
