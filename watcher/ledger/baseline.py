"""The first complete reading of new watches: counted once, told once, alarming nobody about the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.ledger.load import balances
from watcher.ledger.restate import Change, restate

if TYPE_CHECKING:
    import sqlite3

    from watcher.core.events import Event
    from watcher.core.known import Terms


def baseline(connection: sqlite3.Connection, terms: Terms, at_ms: int) -> tuple[Event, ...]:
    """Count the treasuries whose new watches have all been read, and tell it."""
    complete = connection.execute(
        """SELECT t.name AS treasury FROM treasuries t
           WHERE EXISTS (
             SELECT 1 FROM watches w INDEXED BY watches_unread
             WHERE w.treasury = t.name AND w.removed_ms IS NULL AND w.baselined = 0)
           AND NOT EXISTS (
             SELECT 1 FROM watches u INDEXED BY watches_unread JOIN scripts s ON s.id = u.script
             WHERE u.treasury = t.name AND u.removed_ms IS NULL AND u.baselined = 0
               AND (s.read_ms IS NULL OR u.anchor_height IS NULL))
           ORDER BY t.name"""
    ).fetchall()
    events: list[Event] = []
    for row in complete:
        events += _count(connection, Change(terms, row["treasury"], at_ms, len(events)))
    return tuple(events)


def _count(connection: sqlite3.Connection, change: Change) -> list[Event]:
    new = connection.execute(
        # SQLite takes the hash from the row that has the highest anchor (lang_select.html, "bare columns")
        """SELECT max(anchor_height) AS anchor_height, anchor_hash, count(*) AS scripts FROM watches
           WHERE treasury = ? AND removed_ms IS NULL AND baselined = 0""",
        (change.treasury,),
    ).fetchone()
    ids = _whose_amount_changed(connection, change.treasury)
    first = not balances(connection)[change.treasury].baselined
    # OR FAIL: whatever fails undoes the whole unit of work. To undo this alone, SQLite would keep a copy of
    # each page of a long list in memory.
    connection.execute(
        """UPDATE OR FAIL watches SET baselined = 1
           WHERE treasury = ? AND removed_ms IS NULL AND baselined = 0""",
        (change.treasury,),
    )
    connection.execute(
        "UPDATE treasuries SET baselined_ms = coalesce(baselined_ms, ?) WHERE name = ?",
        (change.at_ms, change.treasury),
    )
    anchor = {"height": new["anchor_height"], "hash": new["anchor_hash"]}
    told: dict[str, object] = {"anchor": anchor, "scripts": new["scripts"], "first": first}
    return restate(connection, change, "watch.baselined", told, ids)


def _whose_amount_changed(connection: sqlite3.Connection, treasury: str) -> list[int]:
    """Entries made before the list changed, that mean something else with it."""
    rows = connection.execute(
        """SELECT e.tx, e.amount, sum(o.received - o.spent) AS now
           FROM entries e CROSS JOIN touches o ON o.tx = e.tx
           CROSS JOIN watches w ON w.script = o.script AND w.removed_ms IS NULL AND w.treasury = e.treasury
           WHERE e.treasury = ? AND e.state <> 'left' GROUP BY e.tx HAVING e.amount <> now""",
        (treasury,),
    )
    return [row["tx"] for row in rows]
