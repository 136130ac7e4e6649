"""What the daemon counts about itself while it runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from watcher.web.distribution import Durations

if TYPE_CHECKING:
    from typing import NoReturn

    from watcher.core.outbox import Attempt

_LAG_EVERY: Final = 1.0


class Meters:
    """Counters and durations since the start; written on the event loop."""

    def __init__(self) -> None:
        self.detection = Durations()
        self.delivery = Durations()
        self.deliveries: Counter[tuple[str, str]] = Counter()
        self.loop_lag = 0.0
        self.heartbeat_ms: int | None = None

    def attempted(self, endpoint: str, attempt: Attempt, seconds: float) -> None:
        """An attempt was recorded; `seconds` since its delivery was committed."""
        self.deliveries[endpoint, attempt.outcome] += 1
        if attempt.outcome == "delivered":
            self.delivery.observe(seconds)

    async def measure_lag(self) -> NoReturn:
        """How late the event loop wakes a sleeper, the last time it was tried."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self.loop_lag = max(0.0, loop.time() - due)
