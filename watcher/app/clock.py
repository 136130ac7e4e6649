"""How far our clock is from the others'. It is an alarm and decides nothing."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.core.observation import Observation

_BLOCKS: Final = 11  # as many as the median time past of a block has


class Clock:
    """Our clock less the sources'; where none tells the time, less that of the miners.

    A miner's time may be wrong by an hour, and is by seconds as a rule; so only the middle one of eleven
    blocks counts, of those that were heard of as they came.
    """

    def __init__(self) -> None:
        self._blocks: deque[float] = deque(maxlen=_BLOCKS)

    def heard(self, seen: Observation) -> None:
        """A block has come, if it is one that was mined since the daemon knows the tip."""
        change = seen.chain
        if change is None or change.depth or len(change.headers) != 1:
            return
        if change.new_tip.height > seen.caught_up_from >= 0:
            mined = int.from_bytes(change.headers[0][68:72], "little")
            self._blocks.append(seen.at_ms / 1000 - mined)

    def skew(self, told: Iterable[float | None]) -> float | None:
        """Seconds; None while nobody can say. `told` is what each source's own clock says."""
        known = [seconds for seconds in told if seconds is not None]
        if known:
            return median(known)
        return median(self._blocks) if len(self._blocks) == _BLOCKS else None
