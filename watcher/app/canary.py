"""Canaries: from time to time one message goes the whole way to each endpoint that asks for it.

Log, outbox, sender and receiver all have to work for it to arrive, and the metric ages when one does not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from watcher.ledger.canaries import send_canary

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.ledger.writer import Writer

LOOK_SECONDS: Final = 60.0


class Canaries:
    """Sends them off when they are due, by the config in force; what was sent before a start counts."""

    def __init__(
        self, current: Current, *, writer: Writer, deliveries: Deliveries, now_ms: Callable[[], int]
    ) -> None:
        self._current = current
        self._writer = writer
        self._deliveries = deliveries
        self._now_ms = now_ms

    async def run(self) -> NoReturn:
        """Look, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(min(LOOK_SECONDS, self._current.now.config.canary.every))

    async def look(self) -> None:
        """Send off those that are due now."""
        for endpoint in self._current.now.shown.canaries:
            await self._send(endpoint)

    async def _send(self, endpoint: str) -> None:
        now = self._current.now
        every_ms = int(now.config.canary.every * 1000)
        if await self._writer.run(lambda c: send_canary(c, now.settings, endpoint, every_ms, self._now_ms())):
            self._deliveries.ring(endpoint)
