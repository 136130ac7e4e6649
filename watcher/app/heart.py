"""What has to get on for the heartbeat to be sent, and what its fail URL is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.service.heartbeat import Heartbeat
from watcher.service.pulse import STUCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from watcher.app.backend import DaemonBackend
    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.app.meters import Meters
    from watcher.ledger.writer import Writer
    from watcher.service.pulse import Progress


class Heart:
    """Sends the heartbeat by the config in force. That it runs shows the event loop; the rest it asks."""

    def __init__(
        self,
        current: Current,
        environ: Mapping[str, str],
        backend: DaemonBackend,
        *,
        writer: Writer,
        deliveries: Deliveries,
        meters: Meters,
        now_ms: Callable[[], int],
    ) -> None:
        self._current = current
        self._environ = environ
        self._backend = backend
        self._writer = writer
        self._deliveries = deliveries
        self._meters = meters
        self._now_ms = now_ms

    async def run(self, watching: Progress) -> NoReturn:
        """Beat, for ever, while `watching` and the other parts get on."""

        async def stuck() -> Sequence[str]:
            return await self._stuck(watching)

        heartbeat = Heartbeat(
            lambda: self._current.now.config.heartbeat,
            self._environ,
            stuck=stuck,
            stale=self._stale,
            reached=self._reached,
        )
        await heartbeat.run()

    async def _stuck(self, watching: Progress) -> Sequence[str]:
        await self._writer.turn()
        reasons = []
        if not self._writer.writable:
            reasons.append("the ledger cannot be written")
        if watching.stuck():
            reasons.append("the watching does not get on")
        if self._deliveries.still_seconds() > STUCK_SECONDS:
            reasons.append("the outbox does not get on")
        return reasons

    async def _stale(self) -> Sequence[str]:
        """A treasury that was not yet read once is not stale."""
        return [
            f"treasury {entry.treasury} is stale: {', '.join(entry.reasons)}"
            for entry in await self._backend.stale()
            if "not_read" not in entry.reasons
        ]

    def _reached(self) -> None:
        self._meters.heartbeat_ms = self._now_ms()
