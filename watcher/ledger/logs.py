"""Which log an event was written in: a restore begins a new one, and what was told stays as it was told."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Final

from watcher.ledger.queries import last_sequence, log_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_FORMER: Final = "former_logs"  # in `meta`: [[log id, its last sequence], …], oldest first


def new_log_id() -> str:
    """64 bits at random: two restores of one backup are two logs."""
    return secrets.token_hex(8)


def begin_new_log(connection: sqlite3.Connection) -> str:
    """Give the log a new id, in the caller's transaction; events that follow are of it. Returns the id."""
    former = [*_former(connection), [log_id(connection), last_sequence(connection)]]
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_FORMER, json.dumps(former)))
    new = new_log_id()
    connection.execute("UPDATE meta SET value = ? WHERE key = 'log'", (new,))
    return new


def written_in(connection: sqlite3.Connection) -> Callable[[int], str]:
    """The id of the log that an event of a given sequence was written in."""
    former, present = _former(connection), log_id(connection)

    def log_of(sequence: int) -> str:
        return next((log for log, last in former if sequence <= last), present)

    return log_of


def _former(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_FORMER,)).fetchone()
    return [] if row is None else [(log, last) for log, last in json.loads(row["value"])]
