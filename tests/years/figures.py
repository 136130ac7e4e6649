"""What a process takes of the machine, taken from outside again and again, and the slope of it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """At `at` seconds: resident bytes, open descriptors, threads, asyncio tasks, and the ledger's bytes."""

    at: float
    resident: int
    descriptors: int
    threads: int
    tasks: int
    ledger: int

    @classmethod
    def of(cls, pid: int, *, at: float, tasks: int, ledger: Path) -> Sample:
        """What it takes now."""
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        return cls(
            at,
            int(status["VmRSS"].split()[0]) * 1024,
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
            int(status["Threads"]),
            tasks,
            ledger.stat().st_size,
        )


def floors(samples: Sequence[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """The lowest figure in each piece of so many seconds: what is left when work is done, and leaks raise."""
    pieces: dict[int, tuple[float, float]] = {}
    for at, figure in samples:
        piece = int(at // seconds)
        pieces[piece] = min(pieces.get(piece, (at, figure)), (at, figure), key=lambda each: each[1])
    return list(pieces.values())


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """How much it grows an hour: the least-squares line through (seconds, figure)."""
    return (
        statistics.linear_regression([at for at, _ in samples], [figure for _, figure in samples]).slope
        * HOUR
    )
