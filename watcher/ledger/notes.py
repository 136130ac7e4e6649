"""Remarks on incidents: appended to the log, and told to whoever was told of the incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.journal import Journal
from watcher.ledger.commit import tell
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3

    from watcher.ledger.commit import Committed, Settings


def note(
    connection: sqlite3.Connection, settings: Settings, incident: str, text: str, by: str, at_ms: int
) -> Committed | None:
    """Append a remark; None where no event is of that incident."""
    about = connection.execute(
        "SELECT treasury FROM events WHERE incident = ? ORDER BY sequence LIMIT 1", (incident,)
    ).fetchone()
    if about is None:
        return None
    journal = Journal(bare(connection, settings.terms), at_ms)
    event = journal.other(
        "incident.noted", {"text": text, "by": by}, treasury=about["treasury"], incident=incident
    )
    return tell(connection, settings, (event,), (), at_ms)
