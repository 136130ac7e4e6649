"""Canaries in the ledger: one at a time for each endpoint, and when the last one arrived.

While one is on its way no other is made: it is tried again when the next would be due. So an endpoint that
was away for days gets one canary and not seventy, and one that is given up is followed by a fresh one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from watcher.ledger.addressed import tell_one

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from watcher.ledger.commit import Settings

CANARY: Final = "watcher.canary"


@dataclass(frozen=True, slots=True)
class _Flight:
    """The last canary of an endpoint: its webhook id, when it was sent off, when one last arrived before."""

    webhook_id: str
    sent_ms: int
    arrived_ms: int | None


def send_canary(
    connection: sqlite3.Connection, settings: Settings, endpoint: str, every_ms: int, at_ms: int
) -> bool:
    """Send one off if the last was sent so long ago; whether the endpoint is to be rung.

    A last one of the future was sent before the clock was set back, and holds nothing.
    """
    last = _last(connection, endpoint)
    if last is None:
        _remember(connection, endpoint, _Flight(_fresh(connection, settings, endpoint, at_ms), at_ms, None))
        return True
    if 0 <= at_ms - last.sent_ms < every_ms:
        return False
    row = connection.execute(
        "SELECT id, state, leased_ms FROM deliveries WHERE endpoint = ? AND webhook_id = ?",
        (endpoint, last.webhook_id),
    ).fetchone()
    if row is not None and row["state"] == "pending":
        if row["leased_ms"] is None:
            connection.execute(
                "UPDATE deliveries SET due_ms = ?1 WHERE id = ?2 AND due_ms > ?1", (at_ms, row["id"])
            )
        _remember(connection, endpoint, replace(last, sent_ms=at_ms))
        return True
    arrived = _arrival(connection, endpoint, last)
    _remember(connection, endpoint, _Flight(_fresh(connection, settings, endpoint, at_ms), at_ms, arrived))
    return True


def last_arrivals(connection: sqlite3.Connection, endpoints: Iterable[str]) -> Mapping[str, int]:
    """When a canary last arrived at each of these endpoints, in ms; those without one are not in it."""
    arrivals = {
        name: _arrival(connection, name, last) for name in endpoints if (last := _last(connection, name))
    }
    return {name: at_ms for name, at_ms in arrivals.items() if at_ms is not None}


def _fresh(connection: sqlite3.Connection, settings: Settings, endpoint: str, at_ms: int) -> str:
    return tell_one(connection, settings, CANARY, endpoint, at_ms).id


def _arrival(connection: sqlite3.Connection, endpoint: str, last: _Flight) -> int | None:
    row = connection.execute(
        "SELECT done_ms FROM deliveries WHERE endpoint = ? AND webhook_id = ? AND state = 'delivered'",
        (endpoint, last.webhook_id),
    ).fetchone()
    return last.arrived_ms if row is None else int(row["done_ms"])


def _last(connection: sqlite3.Connection, endpoint: str) -> _Flight | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_key(endpoint),)).fetchone()
    return None if row is None else _Flight(**json.loads(row["value"]))


def _remember(connection: sqlite3.Connection, endpoint: str, flight: _Flight) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_key(endpoint), json.dumps(asdict(flight)))
    )


def _key(endpoint: str) -> str:
    return f"canary:{endpoint}"
