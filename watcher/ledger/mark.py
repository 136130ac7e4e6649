"""The last event told, beside the ledger.

SQLite cannot see that its `-wal` was removed or that an older copy of the file was put in its place: both
are valid databases. Going on with one would give sequences of the log a second time, with other events.
The mark is written after each commit and never synced: what it names was durable before it, so a power cut
can lose the mark and can never make it lie.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watcher.ledger.files import beside
from watcher.ledger.queries import last_sequence, log_id

if TYPE_CHECKING:
    import sqlite3

SUFFIX: Final = ".end"
_BYTES: Final = 64  # one write within one sector: it is there or not


class Mark:
    """The mark of the ledger that `connection` writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        path = Path(connection.execute("PRAGMA database_list").fetchone()["file"])
        self._descriptor = os.open(beside(path, SUFFIX), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._log = log_id(connection)
        self._written = 0

    def advance(self, sequence: int) -> None:
        """The events up to `sequence` are committed."""
        if sequence == self._written:
            return
        # The commit stands whether or not the mark does.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, f"{self._log}:{sequence}\n".ljust(_BYTES).encode(), 0)
            self._written = sequence

    def close(self) -> None:
        """Release the file; the mark stays."""
        os.close(self._descriptor)


def missing(connection: sqlite3.Connection, path: Path) -> int:
    """How many events that were told are not in the ledger at `path`; 0 where no mark says otherwise."""
    try:
        with beside(path, SUFFIX).open("rb") as file:
            log, _, sequence = file.read(_BYTES).strip().decode("ascii", "replace").partition(":")
    except FileNotFoundError:
        return 0
    if log != log_id(connection) or not sequence.isdecimal():
        return 0  # of a log before a restore, or lost in a power cut
    return max(0, int(sequence) - last_sequence(connection))
