"""What has to get on for the heartbeat to be sent, and what its fail URL is told."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from watcher.service.heartbeat import Heartbeat
from watcher.service.pulse import STUCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import NoReturn

    from watcher.app.backend import DaemonBackend
    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.app.meters import Meters
    from watcher.ledger.writer import Writer
    from watcher.service.pulse import Progress

# The least free space for the ledger, in MiB. Once it is full nothing is sent to endpoints, since nothing is
# sent that is not recorded: whoever could make room has to hear of it before, and by another way.
LEAST_FREE: Final = 64


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
            unwell=self._unwell,
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

    async def _unwell(self) -> Sequence[str]:
        """A treasury that was not yet read once is not stale."""
        return [
            *_lacking(self._current.now.config.state_directory),
            *(
                f"treasury {entry.treasury} is stale: {', '.join(entry.reasons)}"
                for entry in await self._backend.stale()
                if "not_read" not in entry.reasons
            ),
        ]

    def _reached(self) -> None:
        self._meters.heartbeat_ms = self._now_ms()


def _lacking(state: Path) -> Sequence[str]:
    try:
        free = shutil.disk_usage(state).free
    except OSError as error:
        return [f"the ledger's disk does not answer: {error.strerror}"]
    # no figure in it: each new reason is logged
    return [f"less than {LEAST_FREE} MiB are left for the ledger"] if free < LEAST_FREE << 20 else []
