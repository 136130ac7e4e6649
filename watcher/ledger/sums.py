"""What the ledger keeps added up, so that a figure of a long book costs no more than one of a short one.

The table `sums` has a row for each treasury, span of blocks and flow; triggers keep it with every change of
an entry or of a transaction's place (`schema.py`), in the commit that makes it. Of confirmed transactions a
span is `SPAN` blocks; whatever else is counted stands in the span `LOOSE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

    from watcher.bitcoin.types import Sats

SPAN: Final = 144  # blocks: a day, so that what lies beside whole spans is soon added up
LOOSE: Final = -1

# the same from the entries themselves: to fill the table, to verify it, and where a ledger has none yet
ADDED_UP: Final = f"""SELECT e.treasury AS treasury,
    CASE e.state WHEN 'confirmed' THEN coalesce(t.block_height, 0) / {SPAN} ELSE {LOOSE} END AS span,
    e.flow AS flow, count(*) AS transactions, sum(t.trust = 'proven') AS proven, sum(e.amount) AS amount,
    sum(e.moved) AS moved
  FROM entries e JOIN transactions t ON t.id = e.tx
  WHERE e.state IN ('held', 'confirmed') OR e.pending <> 0 GROUP BY 1, 2, 3"""  # noqa: S608 - constants of ours


def explained(connection: sqlite3.Connection, treasury: str) -> Sats:
    """The part of the confirmed balance that transactions account for."""
    row = connection.execute(
        "SELECT coalesce(sum(amount), 0) FROM sums WHERE treasury = ? AND span > ?", (treasury, LOOSE)
    ).fetchone()
    return int(row[0])


def counted(connection: sqlite3.Connection, treasury: str) -> tuple[int, int]:
    """How many transactions are confirmed, and how many of them proven."""
    row = connection.execute(
        "SELECT coalesce(sum(transactions), 0), coalesce(sum(proven), 0) FROM sums"
        " WHERE treasury = ? AND span > ?",
        (treasury, LOOSE),
    ).fetchone()
    return int(row[0]), int(row[1])


def begins(connection: sqlite3.Connection, treasury: str) -> int | None:
    """The first block of the span with the first confirmed transaction; None: there is no transaction."""
    row = connection.execute(
        "SELECT min(span) FROM sums WHERE treasury = ? AND span > ? AND transactions > 0", (treasury, LOOSE)
    ).fetchone()
    return None if row[0] is None else int(row[0]) * SPAN


def above(connection: sqlite3.Connection, treasury: str, height: int) -> Sats:
    """What the blocks above `height` changed; of their first span each transaction is looked at."""
    last = max(height, 0) // SPAN * SPAN + SPAN - 1
    row = connection.execute(
        "SELECT (SELECT coalesce(sum(amount), 0) FROM sums WHERE treasury = :treasury AND span > :span)"
        " + (SELECT coalesce(sum(e.amount), 0)"
        # CROSS JOIN keeps SQLite to this order: along the chain
        "  FROM transactions t CROSS JOIN entries e ON e.treasury = :treasury AND e.tx = t.id"
        "  WHERE t.block_height > :height AND t.block_height <= :last AND e.state = 'confirmed')",
        {"treasury": treasury, "span": last // SPAN, "height": height, "last": last},
    ).fetchone()
    return int(row[0])


def add_up_aside(connection: sqlite3.Connection) -> None:
    """For a ledger of before there were sums that is only read: each question adds them up."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sums'").fetchone():
        return
    connection.execute("PRAGMA query_only=OFF")  # it goes for what is temporary too
    connection.execute(f"CREATE TEMP VIEW sums AS {ADDED_UP}")
    connection.execute("PRAGMA query_only=ON")
