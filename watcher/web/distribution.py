"""Durations in buckets, as Prometheus wants them: written on the event loop, read as frozen copies."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

# CONTRACT: 5 ms to 10 min
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many durations were at most each of `BOUNDS` (cumulative; the last counts all), and their sum."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    seconds: float = 0.0


NOTHING: Final = Distribution()


class Durations:
    """Durations as they come."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one; a clock that was set back in between makes it 0, never negative."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def read(self) -> Distribution:
        """What was observed so far."""
        return Distribution(tuple(accumulate(self._counts)), self._seconds)
