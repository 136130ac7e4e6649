"""Transactions that are in a block by the quorum's word, and whose branch a second pass is to bring."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.types import Txid

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

# in the words of the index `transactions_unproven`: only so does SQLite take it
_IS_UNPROVEN: Final = "t.block_height IS NOT NULL AND t.displaced_by IS NULL AND t.trust <> 'proven'"


@dataclass(frozen=True, slots=True)
class Unproven:
    """A transaction without a branch: its bytes, and the height of its block."""

    txid: Txid
    raw: bytes
    height: int


def past(connection: sqlite3.Connection) -> int:
    """The height at and below which everything is the past for every watch; -1 where none has begun."""
    row = connection.execute("SELECT min(anchor_height) FROM watches WHERE removed_ms IS NULL").fetchone()
    return -1 if row[0] is None else int(row[0])


def unproven(
    connection: sqlite3.Connection, most: int, treasuries: Iterable[str], without: Iterable[Txid]
) -> list[Unproven]:
    """Of those that still wait for their branch at most so many: the newest first, of a block the largest.

    Only those of these treasuries and of no other.
    """
    rows = connection.execute(
        f"""SELECT t.txid, t.raw, t.block_height FROM transactions t
           WHERE {_IS_UNPROVEN} AND t.txid NOT IN (SELECT value FROM json_each(?1))
             AND NOT EXISTS (SELECT 1 FROM entries e
               WHERE e.tx = t.id AND e.treasury NOT IN (SELECT value FROM json_each(?2)))
           ORDER BY t.block_height DESC,
             (SELECT max(e.moved) FROM entries e WHERE e.tx = t.id) DESC, t.id LIMIT ?3""",  # noqa: S608 - a constant of ours
        (json.dumps(sorted(without)), json.dumps(sorted(treasuries)), most),
    )
    return [Unproven(Txid(row["txid"]), bytes(row["raw"]), row["block_height"]) for row in rows]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many of each treasury's transactions wait for their branch; those with none are left out."""
    rows = connection.execute(
        f"""SELECT e.treasury, count(*) AS waiting FROM transactions t CROSS JOIN entries e ON e.tx = t.id
           WHERE {_IS_UNPROVEN} AND e.state = 'confirmed' GROUP BY e.treasury"""  # noqa: S608 - a constant of ours
    )
    return {row["treasury"]: row["waiting"] for row in rows}
