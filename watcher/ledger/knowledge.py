"""What the watching itself asks of the ledger: what needs not be asked of a source again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING

import msgspec

from watcher.bitcoin.transactions import TxOutput
from watcher.bitcoin.types import BlockHash, BlockRef, Outpoint, ScriptHash, Txid
from watcher.ledger.many import as_list, as_pairs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


class WatchedScript(msgspec.Struct, frozen=True, gc=False):
    """A script on the list: whose, the hash of its history as last read, and whether it was ever read.

    The garbage collector need not look at a hundred thousand of them.
    """

    scripthash: ScriptHash
    treasury: str
    status: str | None
    read: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A transaction the ledger has: its raw bytes, and its block where that is on our chain.

    `live`: it is unconfirmed in a book; `fallen`: every book has given it up, or none ever had it.
    """

    raw: bytes
    block: BlockRef | None
    live: bool
    fallen: bool


def watched(connection: sqlite3.Connection) -> list[WatchedScript]:
    """Every script on the list."""
    rows = connection.execute(
        """SELECT s.scripthash, w.treasury, s.status, s.read_ms FROM watches w
           JOIN scripts s ON s.id = w.script WHERE w.removed_ms IS NULL ORDER BY w.id"""
    )
    # a hundred thousand rows need no name of their treasury each
    return [
        WatchedScript(ScriptHash(script), intern(treasury), status, read_ms is not None)
        for script, treasury, status, read_ms in rows
    ]


def kept(connection: sqlite3.Connection, txids: Iterable[Txid]) -> dict[Txid, Kept]:
    """Which of these the ledger has."""
    rows = connection.execute(
        """SELECT t.txid, t.raw, t.block_height, t.block_hash, t.displaced_by,
             t.held AND EXISTS (SELECT 1 FROM entries e WHERE e.tx = t.id AND e.state = 'held'),
             NOT EXISTS (SELECT 1 FROM entries e
               WHERE e.tx = t.id AND e.state IN ('held', 'missing', 'confirmed'))
           FROM json_each(?) j JOIN transactions t ON t.txid = j.value""",
        (as_list(txids),),
    )
    result: dict[Txid, Kept] = {}
    for txid, raw, height, block_hash, displaced_by, live, fallen in rows:
        on_our_chain = height is not None and displaced_by is None
        block = BlockRef(height, BlockHash(block_hash)) if on_our_chain else None
        result[Txid(txid)] = Kept(raw, block, bool(live), bool(fallen))
    return result


def unsettled_scripts(connection: sqlite3.Connection) -> set[ScriptHash]:
    """Scripts whose history says less than it should: a transaction on them is displaced or missing."""
    # CROSS JOIN keeps SQLite to this order: from the few that are unsettled, not from all that are watched.
    # `state IN` is there for the partial index, `state =` for the answer.
    rows = connection.execute(
        """SELECT DISTINCT s.scripthash FROM (
             SELECT id AS tx FROM transactions WHERE displaced_by IS NOT NULL
             UNION SELECT tx FROM entries WHERE state IN ('held', 'missing') AND state = 'missing') u
           CROSS JOIN touches o ON o.tx = u.tx
           CROSS JOIN watches w ON w.script = o.script AND w.removed_ms IS NULL
           CROSS JOIN scripts s ON s.id = o.script"""
    )
    return {ScriptHash(row[0]) for row in rows}


def scripts_above(connection: sqlite3.Connection, height: int) -> set[ScriptHash]:
    """Watched scripts with a transaction in a block above `height`."""
    rows = connection.execute(
        """SELECT DISTINCT s.scripthash FROM transactions t
           JOIN touches o ON o.tx = t.id JOIN scripts s ON s.id = o.script
           JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL
           WHERE t.block_height > ?""",
        (height,),
    )
    return {ScriptHash(row[0]) for row in rows}


def unsettled_on(
    connection: sqlite3.Connection, scripthashes: Iterable[ScriptHash], fork: int
) -> dict[Txid, bytes]:
    """Unconfirmed and displaced transactions that touch these scripts, raw.

    Blocks above height `fork` have left our chain, though the ledger has not been told yet.
    """
    wanted = set(scripthashes)
    rows = connection.execute(
        """SELECT t.txid, t.raw, s.scripthash FROM (
             SELECT tx FROM entries WHERE state IN ('held', 'missing')
             UNION ALL SELECT id FROM transactions WHERE displaced_by IS NOT NULL
             UNION ALL SELECT id FROM transactions WHERE block_height > ?) u
           CROSS JOIN transactions t ON t.id = u.tx CROSS JOIN touches o ON o.tx = t.id
           CROSS JOIN scripts s ON s.id = o.script""",
        (fork,),
    )
    return {Txid(r["txid"]): r["raw"] for r in rows if r["scripthash"] in wanted}


def past_of(connection: sqlite3.Connection, scripts: Iterable[ScriptHash], at_most: int) -> int:
    """The height, `at_most` this one, at and below which everything is the past for all of these."""
    row = connection.execute(
        """SELECT min(w.anchor_height) FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value
           JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL""",
        (as_list(scripts),),
    ).fetchone()
    return at_most if row[0] is None else min(at_most, int(row[0]))


def scripts_of(connection: sqlite3.Connection, txids: Iterable[Txid]) -> dict[Txid, frozenset[ScriptHash]]:
    """The scripts on the list that each of these touches; without those that touch none."""
    rows = connection.execute(
        """SELECT t.txid, s.scripthash FROM json_each(?) j JOIN transactions t ON t.txid = j.value
           JOIN touches o ON o.tx = t.id JOIN scripts s ON s.id = o.script
           JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL""",
        (as_list(txids),),
    )
    found: dict[Txid, set[ScriptHash]] = {}
    for txid, script in rows:
        found.setdefault(Txid(txid), set()).add(ScriptHash(script))
    return {txid: frozenset(scripts) for txid, scripts in found.items()}


def proven_on(
    connection: sqlite3.Connection, scripthashes: Iterable[ScriptHash], height: int
) -> dict[ScriptHash, frozenset[Txid]]:
    """The transactions of each script that are proven to be in a block of our chain, up to this height."""
    rows = connection.execute(
        """SELECT s.scripthash, t.txid FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value
           JOIN touches o ON o.script = s.id JOIN transactions t ON t.id = o.tx
           WHERE t.block_height <= ? AND t.displaced_by IS NULL AND t.trust = 'proven'""",
        (as_list(scripthashes), height),
    )
    proven: dict[ScriptHash, set[Txid]] = {}
    for row in rows:
        proven.setdefault(ScriptHash(row["scripthash"]), set()).add(Txid(row["txid"]))
    return {script: frozenset(txids) for script, txids in proven.items()}


def coins(connection: sqlite3.Connection, outpoints: Iterable[Outpoint]) -> dict[Outpoint, TxOutput]:
    """Which of these outputs pay a script that is or was watched."""
    rows = connection.execute(
        """SELECT c.txid, c.vout, c.sats, s.script_pubkey FROM json_each(?) j
           JOIN coins c ON c.txid = j.key AND c.vout = j.value
           JOIN scripts s ON s.id = c.script""",
        (as_pairs(outpoints),),
    )
    return {Outpoint(Txid(r["txid"]), r["vout"]): TxOutput(r["sats"], r["script_pubkey"]) for r in rows}


def live_spenders(
    connection: sqlite3.Connection, outpoints: Iterable[Outpoint]
) -> dict[Outpoint, frozenset[Txid]]:
    """The unconfirmed transactions in the book that spend these."""
    rows = connection.execute(
        """SELECT DISTINCT p.txid, p.vout, t.txid AS spender FROM json_each(?) j
           JOIN spends p ON p.txid = j.key AND p.vout = j.value
           JOIN transactions t ON t.id = p.tx
           JOIN entries e ON e.tx = t.id AND e.state IN ('held', 'missing')""",
        (as_pairs(outpoints),),
    )
    found: dict[Outpoint, set[Txid]] = {}
    for row in rows:
        found.setdefault(Outpoint(Txid(row["txid"]), row["vout"]), set()).add(Txid(row["spender"]))
    return {outpoint: frozenset(txids) for outpoint, txids in found.items()}


def has_unanchored(connection: sqlite3.Connection) -> bool:
    """Whether a watch waits for the tip at which it begins."""
    row = connection.execute(
        "SELECT 1 FROM watches WHERE removed_ms IS NULL AND anchor_height IS NULL LIMIT 1"
    ).fetchone()
    return row is not None


def store_complete(
    connection: sqlite3.Connection, whole: Iterable[tuple[str, BlockRef, int, tuple[str, ...]]]
) -> None:
    """These treasuries were read in full: at this block, when, by the word of these sources."""
    connection.executemany(
        """UPDATE treasuries SET complete_height = ?, complete_hash = ?, complete_ms = ?, complete_sources = ?
           WHERE name = ?""",
        [(block.height, block.hash, at_ms, json.dumps(names), name) for name, block, at_ms, names in whole],
    )


def complete(connection: sqlite3.Connection) -> list[tuple[str, BlockRef, int, tuple[str, ...]]]:
    """When and at which block each treasury was last read in full, and by whose word.

    Not of one that had nothing on the list and has now: it was not read since.
    """
    rows = connection.execute(
        """SELECT t.* FROM treasuries t WHERE t.complete_height IS NOT NULL AND EXISTS
             (SELECT 1 FROM watches w WHERE w.treasury = t.name AND w.removed_ms IS NULL AND w.baselined)"""
    )
    return [
        (
            row["name"],
            BlockRef(row["complete_height"], BlockHash(row["complete_hash"])),
            row["complete_ms"],
            tuple(json.loads(row["complete_sources"])),
        )
        for row in rows
    ]


def treasuries(connection: sqlite3.Connection) -> frozenset[str]:
    """Those that have anything on the list."""
    rows = connection.execute(
        """SELECT t.name FROM treasuries t
           WHERE EXISTS (SELECT 1 FROM watches w WHERE w.treasury = t.name AND w.removed_ms IS NULL)"""
    )
    return frozenset(row[0] for row in rows)


def used_scripts(connection: sqlite3.Connection) -> frozenset[ScriptHash]:
    """Scripts that have a history, whether or not they are on the list now."""
    rows = connection.execute(
        "SELECT s.scripthash FROM scripts s WHERE EXISTS (SELECT 1 FROM touches o WHERE o.script = s.id)"
    )
    return frozenset(ScriptHash(row[0]) for row in rows)
