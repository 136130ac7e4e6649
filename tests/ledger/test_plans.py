"""What a commit asks costs what changed, not what is kept: no statement of it walks through a whole table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.walks.eye import Eye
from tests.walks.world import World, script
from watcher.ledger import knowledge

if TYPE_CHECKING:
    import sqlite3

GROWS = "transactions|entries|touches|coins|spends|scripts|watches|headers|events|deliveries"
# partial indexes: what they hold is what is under way
OPEN = {
    "transactions_displaced",
    "entries_open",
    "entries_climbing",
    "watches_unread",
    "watches_unanchored",
}
SCAN = re.compile(rf"SCAN (?:{GROWS}|[a-z])\b(?: USING (?:COVERING )?INDEX (\w+))?")


def scans(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The steps of its plan that visit every row of a table that grows."""
    # an INSERT shows the children of a foreign key, which it visits only where one is already broken
    if not statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
        return []
    steps = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    virtual = [step for step in steps if "VIRTUAL TABLE" in step]
    found = [step for step in steps if (m := SCAN.match(step)) and m[1] not in OPEN and step not in virtual]
    derived = {"SCAN u", "SCAN t"}  # a subquery of the few that are open; the treasuries of the config
    return [step for step in found if step not in derived]


def test_no_statement_of_a_commit_visits_every_row_of_a_table_that_grows() -> None:
    world = World(3, {"alpha": [script(f"alpha {i}") for i in range(3)]})
    eye = Eye(world, "one")
    eye.look()
    statements: set[str] = set()
    eye.connection.set_trace_callback(statements.add)
    for _ in range(60):
        world.step()
        eye.look()
        knowledge.unsettled_scripts(eye.connection)
        knowledge.has_unanchored(eye.connection)
    eye.connection.set_trace_callback(None)
    walked = {statement: found for statement in statements if (found := scans(eye.connection, statement))}
    assert walked == {}
    assert len(statements) > 100
