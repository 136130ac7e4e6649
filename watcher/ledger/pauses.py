"""Endpoints that are spared for a while, by somebody's word: what is for them waits and is not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.instants import rfc3339
from watcher.core.journal import Journal
from watcher.ledger.commit import tell
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3

    from watcher.ledger.commit import Committed, Settings


def pause(
    connection: sqlite3.Connection,
    settings: Settings,
    endpoint: str,
    until_ms: int,
    *,
    reason: str,
    by: str,
    at_ms: int,
) -> Committed:
    """Send nothing to the endpoint before `until_ms`; the last word counts, and a time that is over ends it.

    The other endpoints are told.
    """
    connection.execute(
        "INSERT OR REPLACE INTO pauses (endpoint, since_ms, until_ms) VALUES (?, ?, ?)",
        (endpoint, at_ms, until_ms),
    )
    journal = Journal(bare(connection, settings.terms), at_ms)
    event = journal.other(
        "endpoint.paused", {"endpoint": endpoint, "until": rfc3339(until_ms), "reason": reason, "by": by}
    )
    return tell(connection, settings, (event,), (), at_ms)
