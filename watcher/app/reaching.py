"""The outbox's store: what becomes of attempts is written down, and what it says of the endpoints is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.app.spoken import speak_of_conditions
from watcher.ledger.outbox import LedgerStore, record
from watcher.ledger.reached import judge

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from watcher.core.outbox import Attempt
    from watcher.ledger.commit import Committed, Settings
    from watcher.ledger.outbox import Run


class ReachingStore(LedgerStore):
    """On the ledger's writer; `ring` is called for each endpoint that is told of another."""

    def __init__(self, run: Run, settings: Callable[[], Settings], ring: Callable[[str], None]) -> None:
        super().__init__(run)
        self._settings = settings
        self._ring = ring

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Both in one commit."""
        settings = self._settings()

        def work(connection: sqlite3.Connection) -> Committed:
            record(connection, attempts)
            return judge(connection, settings, attempts)

        told = await self._run(work)
        speak_of_conditions(told.events)
        for endpoint in told.endpoints:
            self._ring(endpoint)
