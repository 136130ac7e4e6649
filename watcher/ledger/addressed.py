"""An event for one endpoint, whatever the rules say: through the log and the outbox like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.journal import Journal
from watcher.core.rules import Notice
from watcher.core.rules_types import Severity
from watcher.ledger import store
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3

    from watcher.core.events import Data, Event
    from watcher.ledger.commit import Settings


def tell_one(
    connection: sqlite3.Connection,
    settings: Settings,
    event_type: str,
    endpoint: str,
    at_ms: int,
    more: Data | None = None,
) -> Event:
    """Append the event, which names the endpoint, and put it into the outbox for that endpoint alone."""
    journal = Journal(bare(connection, settings.terms), at_ms)
    event = journal.other(event_type, {"endpoint": endpoint} | (more or {}))
    store.store_events(connection, (event,), {})
    notice = Notice(endpoint, event.id, event, event.type, Severity.INFO, ())
    store.store_notices(connection, (notice,), settings.external_url, at_ms)
    return event
