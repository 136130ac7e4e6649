"""How far transactions have climbed, where nobody looked because no rule spoke there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.ledger import chain

if TYPE_CHECKING:
    import sqlite3


def pass_rungs(connection: sqlite3.Connection, finality: int) -> None:
    """What has been reached is passed: to be called before other rules are in force.

    Else a new rule would speak of rungs that were passed before it was there, and only where the old
    rules had none. Finality is left out: it has an event of its own.
    """
    tip = chain.tip(connection)
    if tip is None:
        return
    connection.execute(
        """UPDATE entries SET level = min(? - t.block_height + 1, ?) FROM transactions t
           WHERE t.id = entries.tx AND entries.state = 'confirmed' AND entries.final = 0
             AND entries.baselined = 0 AND t.displaced_by IS NULL
             AND entries.level < min(? - t.block_height + 1, ?)""",
        (tip.height, finality - 1, tip.height, finality - 1),
    )
