"""The one thread that writes. A unit of work is one function in one transaction."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from watcher.ledger.bell import Bell
from watcher.ledger.mark import Mark
from watcher.ledger.queries import last_sequence
from watcher.ledger.sqlite import driver, is_damage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_SECONDS: Final = 2.0
# Primary result codes (sqlite.org/rescode.html) that pass when the operator acts: busy, read-only,
# an I/O error, disk full, cannot open.
_PASSING: Final = frozenset({5, 8, 10, 13, 14})


class Writer:
    """Owns the writing connection; units run one after another, in the order they were asked for.

    A unit that the disk refuses waits and is tried again, so that nothing is skipped when there is space;
    `writable` is False while one waits. `bell` rings when the log has grown; `damaged` says that the file has
    turned out not to be whole.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._mark = Mark(connection)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._end = self._rung = last_sequence(connection)
        self._waiting = 0
        self.bell = Bell()
        self.damaged = False

    @property
    def writable(self) -> bool:
        """Whether nothing waits for the disk. Units that happen to write nothing go through meanwhile."""
        return self._waiting == 0

    async def run(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run `unit` in `BEGIN IMMEDIATE … COMMIT`; an exception rolls all of it back.

        Cancelling the waiter does not half-cancel the unit: it is carried out or not, as a whole.
        """
        loop = asyncio.get_running_loop()
        waits = False
        try:
            while True:
                try:
                    running = loop.run_in_executor(self._thread, self._transact, unit)
                    running.add_done_callback(self._ring)  # also when nobody waits for the result any more
                    result = await asyncio.shield(running)
                except driver.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF not in _PASSING:
                        raise
                    if self.writable:
                        log.critical("the ledger cannot be written: %s; trying again until it can", error)
                    self._waiting += not waits
                    waits = True
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    if waits and self._waiting == 1:
                        log.warning("the ledger can be written again")
                    return result
        finally:
            self._waiting -= waits

    async def turn(self) -> None:
        """Return when the thread has done what it was asked for before: it gets on, writable or not."""
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._thread, int))

    async def forget_pages(self) -> None:
        """Give back the memory of the ledger's pages that are held for reading again: up to 4 MB."""
        await self.run(lambda connection: connection.execute("PRAGMA shrink_memory").close())

    async def close(self) -> None:
        """Let what was asked for finish, then close the connection."""
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._thread, self._connection.close))
        self._thread.shutdown(wait=True)
        self._mark.close()

    def _transact(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = unit(self._connection)
            end = last_sequence(self._connection)
            self._connection.execute("COMMIT")
        except BaseException as error:
            self.damaged |= is_damage(error)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        # Nothing may fail from here on: the unit is committed and must not be tried again.
        self._mark.advance(end)
        self._end = end
        return result

    def _ring(self, _done: object) -> None:
        end = self._end
        if end != self._rung:
            self._rung = end
            self.bell.ring()
