"""What is the case for a while, told when it begins and when it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watcher.core.identity import condition_incident
from watcher.core.journal import Journal
from watcher.core.rules_types import Severity
from watcher.ledger.commit import Committed, tell
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from watcher.core.events import Data
    from watcher.ledger.commit import Settings


# what waits to see whether a condition lasts; what was lent or ever tried is not unsent
_UNSENT: Final = """
    DELETE FROM deliveries WHERE sequence = ? AND state = 'pending' AND attempts = 0 AND due_ms > ?
        AND leased_ms IS NULL AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery = deliveries.id)"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A kind of condition and what it is about; `begins` and `ends` are the types of its two events."""

    kind: str
    subject: str
    begins: str
    ends: str
    treasury: str | None = None


def set_condition(
    connection: sqlite3.Connection,
    settings: Settings,
    condition: Condition,
    data: Data,
    at_ms: int,
    *,
    holds: bool,
) -> Committed:
    """Tell that it is so or is so no longer, `data` saying more; what is known already tells nothing.

    A notice that was to wait (`for`) is not sent if the condition ended before, nor is its end then.
    """
    key = (condition.kind, condition.subject)
    row = connection.execute("SELECT sequence FROM conditions WHERE kind = ? AND subject = ?", key).fetchone()
    if (row is not None) == holds:
        return Committed((), frozenset())
    incident = condition_incident(settings.terms.network, *key)
    journal = Journal(bare(connection, settings.terms), at_ms)
    told: Data = {"condition": condition.kind} | data
    event = journal.other(
        condition.begins if holds else condition.ends,
        told,
        treasury=condition.treasury,
        incident=incident,
    )
    begun = {} if row is None else _told(connection, row["sequence"])
    committed = tell(connection, settings, (event,), (), at_ms, begun)
    if row is None:
        connection.execute(
            "INSERT INTO conditions (kind, subject, since_ms, incident, sequence) VALUES (?, ?, ?, ?, ?)",
            (*key, at_ms, incident, event.sequence),
        )
        return committed
    connection.execute("DELETE FROM conditions WHERE kind = ? AND subject = ?", key)
    unsent = connection.execute(
        f"{_UNSENT} RETURNING endpoint",
        (row["sequence"], at_ms),
    ).fetchall()
    for never_told in unsent:
        connection.execute(
            "DELETE FROM deliveries WHERE sequence = ? AND endpoint = ?",
            (event.sequence, never_told["endpoint"]),
        )
    return replace(committed, endpoints=committed.endpoints - {r["endpoint"] for r in unsent})


def _told(connection: sqlite3.Connection, sequence: int) -> dict[str, Severity]:
    rows = connection.execute("SELECT endpoint, severity FROM deliveries WHERE sequence = ?", (sequence,))
    return {row["endpoint"]: Severity(row["severity"]) for row in rows}


def forget_others(connection: sqlite3.Connection, kind: str, subjects: Collection[str], at_ms: int) -> None:
    """End without a word what nobody asks about any more; a notice of it that was to wait is not sent."""
    for row in connection.execute("SELECT * FROM conditions WHERE kind = ?", (kind,)).fetchall():
        if row["subject"] in subjects:
            continue
        connection.execute(_UNSENT, (row["sequence"], at_ms))
        connection.execute("DELETE FROM conditions WHERE kind = ? AND subject = ?", (kind, row["subject"]))


def holding(connection: sqlite3.Connection, kind: str) -> frozenset[str]:
    """The subjects of this kind for which it is so now."""
    rows = connection.execute("SELECT subject FROM conditions WHERE kind = ?", (kind,))
    return frozenset(row["subject"] for row in rows)
