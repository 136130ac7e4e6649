"""How fast a long work gets on, and so how long the rest of it will take."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS: Final = 600.0  # what came before it says nothing of how fast it is now
STEP_SECONDS: Final = 5.0


class Pace:
    """`clock` gives monotonic seconds; how much is done is looked at every five seconds at most."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done = 0
        self._looks: deque[tuple[float, int]] = deque()

    def did(self, count: int) -> None:
        """So much more is done."""
        now = self._clock()
        if not self._looks or now - self._looks[-1][0] >= STEP_SECONDS:
            self._looks.append((now, self._done))
        while now - self._looks[0][0] > WINDOW_SECONDS and len(self._looks) > 1:
            self._looks.popleft()
        self._done += count

    def seconds_for(self, count: int) -> float | None:
        """How long so much takes as it went lately; None where that cannot be told yet."""
        if not self._looks:
            return None
        began, before = self._looks[0]
        if self._done == before or self._clock() == began:
            return None
        return count * (self._clock() - began) / (self._done - before)
