"""The outbox's store: what becomes of attempts is written down, and what it says of the endpoints is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.ledger.outbox import LedgerStore, record
from watcher.ledger.reached import judge

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from watcher.core.outbox import Attempt
    from watcher.ledger.commit import Settings
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

        def work(connection: sqlite3.Connection) -> frozenset[str]:
            record(connection, attempts)
            return judge(connection, settings, attempts)

        for endpoint in await self._run(work):
            self._ring(endpoint)
