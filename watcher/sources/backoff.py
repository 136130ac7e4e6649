"""When to try to connect again, and doing so for as long as the source is wanted."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from watcher.sources.base import Unavailable
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from watcher.sources.base import Doorbell, SourceError
    from watcher.sources.health import HealthRecord

_STEADY: Final = 60.0  # seconds after which a connection counts as one that worked
_DOUBLINGS = 16  # beyond any sensible cap, and no overflow


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter above a floor, in seconds.

    The floor keeps one source at no more than one attempt in that time; the draw, over a range that
    doubles up to the cap, spreads those who lost their server at the same moment.
    """

    floor: float = 1.0
    first: float = 2.0
    cap: float = 300.0

    def delay(self, failures: int, draw: Callable[[], float]) -> float:
        """How long to wait after so many attempts that failed in a row; `draw` is uniform in [0, 1)."""
        widest = min(self.cap, self.first * 2.0 ** min(max(failures - 1, 0), _DOUBLINGS))
        return self.floor + draw() * max(0.0, widest - self.floor)


class Reconnection:
    """Of one source: one connection after the other; `draw` is uniform in [0, 1)."""

    def __init__(
        self, name: str, record: HealthRecord, backoff: Backoff | None, draw: Callable[[], float]
    ) -> None:
        self._name = name
        self._record = record
        self._backoff = backoff or Backoff()
        self._draw = draw
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Try again now instead of when it would be due: an operator has changed something."""
        self._hurried.set()

    async def run(self, doorbell: Doorbell, connection: Callable[[], Awaitable[SourceError]]) -> NoReturn:
        """Connect, and again after each end, which `connection` returns; each rings `disconnected`.

        Where the server said when to come again, not before that.
        """
        time = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = time()
            why = await connection()
            failures = 1 if time() - began >= _STEADY else failures + 1
            self._record.connected_since = None
            self._record.last_reason, self._record.last_error = why.reason, quoted(why)
            doorbell.disconnected(self._name, why)
            told = why.retry_after if isinstance(why, Unavailable) else None
            wait = max(told or 0.0, self._backoff.delay(failures, self._draw))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._hurried.wait()
            self._hurried.clear()
