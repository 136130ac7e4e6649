"""The config as part of the record: what was last accepted, and that it changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from watcher.core.journal import Journal
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3

    from watcher.core.events import Data, Event
    from watcher.core.known import Terms

_KEY = "config"


def last_accepted(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """The outline of the config that was last in force; None before there was any."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    found: dict[str, Any] | None = None if row is None else json.loads(row["value"])
    return found


def accept(connection: sqlite3.Connection, outline: dict[str, Any]) -> None:
    """Remember the outline of the config that is in force from now on."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_KEY, json.dumps(outline)))


def config_changed(
    connection: sqlite3.Connection, terms: Terms, data: Data, *, told: int, at_ms: int, critical: bool
) -> Event:
    """The event; `told` others precede it in this commit."""
    return Journal(bare(connection, terms, told), at_ms).other("config.changed", data, critical=critical)
