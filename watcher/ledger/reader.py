"""Reads for page, API and metrics: a connection that cannot write, on its own thread, bounded in time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from watcher.ledger.sqlite import driver, is_damage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

T = TypeVar("T")

# of the processor: on a busy machine a cheap read may take long, and is not refused for that
MAX_SECONDS: Final = 1.0
MAX_WAIT_SECONDS: Final = 10.0  # by the clock: a log that a read holds open cannot be folded
_CHECK_EVERY: Final = 10_000  # virtual machine instructions between two looks at the clock


class Reader:
    """One read-only connection; a read that takes the processor for over a second is interrupted and raises.

    `damaged` says that the file has turned out not to be whole.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._spent = self._deadline = 0.0
        self.damaged = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        connection.set_progress_handler(self._is_too_long, _CHECK_EVERY)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    async def close(self) -> None:
        """Let the present read end, then close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=True)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._spent = time.thread_time() + MAX_SECONDS
        self._deadline = time.monotonic() + MAX_WAIT_SECONDS
        try:
            return work(self._connection)
        except driver.DatabaseError as error:
            self.damaged |= is_damage(error)
            raise

    def _is_too_long(self) -> bool:
        return time.thread_time() > self._spent or time.monotonic() > self._deadline
