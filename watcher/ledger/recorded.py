"""What the ledger holds to be the whole of each script, to be held against what sources say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.bitcoin.types import ScriptHash, Txid

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Recorded:
    """A script on the watch list, and its transactions in blocks; nothing is said above `complete_height`."""

    treasury: str
    scripthash: ScriptHash
    complete_height: int
    txids: frozenset[Txid]


def recorded(connection: sqlite3.Connection) -> list[Recorded]:
    """Every script whose history was read, of treasuries that were read in full once."""
    rows = connection.execute(
        """SELECT w.treasury, s.scripthash, t.complete_height,
                  (SELECT json_group_array(x.txid) FROM touches o JOIN transactions x ON x.id = o.tx
                   WHERE o.script = s.id AND x.block_height IS NOT NULL AND x.displaced_by IS NULL) AS txids
           FROM watches w JOIN scripts s ON s.id = w.script JOIN treasuries t ON t.name = w.treasury
           WHERE w.removed_ms IS NULL AND w.baselined = 1 AND t.listed = 1 AND t.complete_height IS NOT NULL
           ORDER BY w.id"""
    )
    return [
        Recorded(
            row["treasury"],
            ScriptHash(row["scripthash"]),
            row["complete_height"],
            frozenset(map(Txid, json.loads(row["txids"]))),
        )
        for row in rows
    ]


def header_at(connection: sqlite3.Connection, height: int) -> bytes | None:
    """The raw header of our chain at this height, where it is held."""
    row = connection.execute("SELECT raw FROM headers WHERE height = ?", (height,)).fetchone()
    return None if row is None else bytes(row["raw"])
