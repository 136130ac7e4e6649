"""Headers of our chain, as rows; and which transactions a change of the chain leaves without a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.bitcoin.headers import header_hash
from watcher.bitcoin.types import BlockRef

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from watcher.core.observation import ChainChange


def tip(connection: sqlite3.Connection) -> BlockRef | None:
    """Our chain's tip as the ledger has it."""
    row = connection.execute("SELECT height, raw FROM headers ORDER BY height DESC LIMIT 1").fetchone()
    return None if row is None else BlockRef(row["height"], header_hash(row["raw"]))


def headers(connection: sqlite3.Connection, start: int, count: int) -> list[tuple[int, bytes]]:
    """The headers kept from height `start`, at most `count`, with their heights."""
    rows = connection.execute(
        "SELECT height, raw FROM headers WHERE height >= ? AND height < ? ORDER BY height",
        (start, start + count),
    )
    return [(row["height"], row["raw"]) for row in rows]


def keep(connection: sqlite3.Connection, start: int, raws: Sequence[bytes]) -> None:
    """Keep validated headers from height `start` on."""
    connection.executemany(
        "INSERT OR REPLACE INTO headers (height, raw) VALUES (?, ?)",
        enumerate(raws, start),
    )


def advance(connection: sqlite3.Connection, change: ChainChange) -> None:
    """Put our chain on the new branch and mark every transaction whose block it left."""
    fork = change.fork.height
    connection.execute("DELETE FROM headers WHERE height > ?", (fork,))
    keep(connection, fork + 1, change.headers)
    if change.depth == 0:
        return
    now = {fork + 1 + i: header_hash(raw) for i, raw in enumerate(change.headers)}
    rows = connection.execute(
        "SELECT id, block_height, block_hash FROM transactions WHERE block_height > ?", (fork,)
    ).fetchall()
    # A block that an earlier branch displaced may be back before anybody was asked about it.
    connection.executemany(
        "UPDATE transactions SET displaced_by = ? WHERE id = ?",
        [
            (None if now.get(row["block_height"]) == row["block_hash"] else change.first, row["id"])
            for row in rows
        ],
    )


def recent(connection: sqlite3.Connection, most: int) -> list[tuple[int, bytes]]:
    """The last headers in an unbroken row, at most so many."""
    top = tip(connection)
    if top is None:
        return []
    rows = headers(connection, max(0, top.height - most + 1), most)
    unbroken = len(rows)
    while unbroken > 1 and rows[unbroken - 2][0] == rows[unbroken - 1][0] - 1:
        unbroken -= 1
    return rows[unbroken - 1 :]
