"""The outbox with the senders of the config in force; a reload exchanges them under it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from watcher.delivery.outbox import Outbox
from watcher.ledger.outbox import lease_due

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from typing import NoReturn, TypeAlias

    from watcher.core.outbox import Lease
    from watcher.delivery.endpoint import Sender
    from watcher.delivery.outbox import Borrower, Observer, Store, Timing

    Lent: TypeAlias = Mapping[str, tuple[Borrower, Lease]]

FINISH_SECONDS: Final = 6.0  # for running attempts, before their senders are exchanged or the daemon ends


class Deliveries:
    """Runs an outbox; attempts under way are finished by the sender that began them."""

    def __init__(
        self, store: Store, senders: Mapping[str, Sender], *, timing: Timing, observer: Observer
    ) -> None:
        self._store = store
        self._senders = senders
        self._timing = timing
        self._observer = observer
        self._exchanged = asyncio.Event()
        self._outbox = self._build()

    def ring(self, endpoint: str) -> None:
        """Something was committed for this endpoint."""
        self._outbox.ring(endpoint)

    def lend(self, connection: sqlite3.Connection, endpoints: Iterable[str]) -> Lent:
        """Within a commit that put something there for these endpoints: what their lanes would borrow next.

        Lent in that same transaction it is sent without another look at the ledger, which is a flush to disk.
        What is lent and never sent, since the process ended or the senders were exchanged, is due again when
        the next outbox begins: it ends every lease first, and until then none of its lanes has room.
        """
        at_ms = int(self._timing.now() * 1000)
        lanes = {endpoint: self._outbox.borrower(endpoint) for endpoint in endpoints}
        return {
            endpoint: (lane, lease_due(connection, endpoint, at_ms, room))
            for endpoint, lane in lanes.items()
            if lane is not None and (room := lane.room()) > 0
        }

    def hand_over(self, endpoints: Iterable[str], lent: Lent) -> None:
        """After that commit: what was lent is sent, and the other endpoints are rung."""
        for endpoint in endpoints:
            if endpoint in lent:
                lane, lease = lent[endpoint]
                lane.take(lease)
            else:
                self.ring(endpoint)

    def ring_all(self) -> None:
        """Something may be due at any endpoint: the clock was set."""
        self._outbox.ring_all()

    def hold(self, endpoint: str) -> None:
        """Start nothing more of what is borrowed for this endpoint."""
        self._outbox.hold(endpoint)

    def still_seconds(self) -> float:
        """For how long some endpoint's lane has not looked for what is due."""
        return self._outbox.still_seconds()

    def exchange(self, senders: Mapping[str, Sender]) -> None:
        """From here on send by these."""
        self._senders = senders
        # at once: what was committed with the new config is not for where a sender led before
        self._outbox.halt()
        self._exchanged.set()

    async def run(self) -> NoReturn:
        """Deliver, for ever."""
        while True:
            async with AsyncExitStack() as stack:
                for sender in self._senders.values():
                    await stack.enter_async_context(sender)
                running = asyncio.create_task(self._outbox.run(), name="outbox")
                exchanged = asyncio.create_task(self._exchanged.wait())
                try:
                    await asyncio.wait({running, exchanged}, return_when=asyncio.FIRST_COMPLETED)
                    if running.done():
                        running.result()
                    await self._outbox.stop(FINISH_SECONDS)
                finally:
                    exchanged.cancel()
                    running.cancel()
                    await asyncio.wait({running})
                    if not running.cancelled():
                        running.exception()  # looked at: where two parts die at once, the other's is told
            self._exchanged.clear()
            self._outbox = self._build()

    async def stop(self) -> None:
        """Start nothing more; attempts under way get their time."""
        await self._outbox.stop(FINISH_SECONDS)

    def _build(self) -> Outbox:
        return Outbox(self._store, self._senders, timing=self._timing, observer=self._observer)
