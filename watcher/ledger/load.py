"""Reads, for an observation, the part of the ledger it can change, as the pure core's `Known`.

What is loaded is what can be affected: the transactions sighted, the unconfirmed and displaced ones on
the scripts that were read, everything that competes with these for a coin, what descends from them, and
what reached a rung because the tip moved. The cost follows what changed, not what is watched.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import TxOutput, parse_transaction
from watcher.bitcoin.types import BlockHash, BlockRef, Confirmed, Outpoint, Txid
from watcher.core.events import CORRECTIONS
from watcher.core.known import Balance, Coin, Entry, Flow, Known, KnownTransaction, Member, State
from watcher.core.observation import Trust
from watcher.ledger.many import as_list, as_pairs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping

    from watcher.bitcoin.transactions import Transaction
    from watcher.core.known import Terms
    from watcher.core.observation import Observation

# Transactions whose place may change without their being sighted.
UNSETTLED = """SELECT tx FROM entries WHERE state IN ('held', 'missing')
    UNION SELECT id FROM transactions WHERE displaced_by IS NOT NULL"""

_OLDEST_UNSETTLED = """SELECT min(tx) FROM (
    SELECT min(tx) AS tx FROM entries WHERE state IN ('held', 'missing')
    UNION ALL SELECT min(id) FROM transactions WHERE displaced_by IS NOT NULL)"""
_CORRECTIONS = as_list(sorted(CORRECTIONS))

# What is unsettled is loaded again with each commit until it settles, and its bytes never change.
_parsed = lru_cache(maxsize=512)(parse_transaction)


def load(
    connection: sqlite3.Connection, terms: Terms, seen: Observation, rungs: Iterable[int], more: Iterable[int]
) -> Known:
    """What the ledger knows that bears on `seen`, with these rows `more`.

    `rungs` are the levels at which some rule speaks.
    """
    ids = set(more) | _sighted(connection, seen) | _on_scripts_read(connection, seen)
    ids |= _climbing(connection, seen.tip.height, sorted(rungs))
    ids = _with_rivals_and_descendants(connection, seen, ids)
    transactions = load_transactions(connection, ids)
    everything = [t.tx for t in transactions.values()] + [s.tx for s in seen.sightings.values()]
    coins = load_coins(connection, everything)
    incidents = {e.incident for t in transactions.values() for e in t.entries.values()}
    members = load_members(connection, everything, coins)
    return Known(
        terms=terms,
        last_sequence=last_sequence(connection),
        balances=balances(connection),
        members=members,
        coins=coins,
        transactions=transactions,
        corrected=_corrected(connection, incidents),
        first_spends=load_first_spends(connection, members) if _spends_ours(everything, coins) else {},
    )


def _spends_ours(transactions: Collection[Transaction], coins: Mapping[Outpoint, Coin]) -> bool:
    """Whether one of these spends one of these coins, or what another of these makes."""
    made = {tx.txid for tx in transactions}
    return bool(coins) or any(spent.outpoint.txid in made for tx in transactions for spent in tx.inputs)


def last_sequence(connection: sqlite3.Connection) -> int:
    """The end of the log; 0 where nothing was told yet."""
    row = connection.execute("SELECT max(sequence) FROM events").fetchone()
    return int(row[0] or 0)


def balances(connection: sqlite3.Connection) -> dict[str, Balance]:
    """The running sum of each treasury."""
    rows = connection.execute("SELECT name, confirmed, pending, baselined_ms FROM treasuries")
    return {r["name"]: Balance(r["confirmed"], r["pending"], r["baselined_ms"] is not None) for r in rows}


def load_transactions(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[Txid, KnownTransaction]:
    """Transactions by row id, with the entries that treasuries have of them."""
    chosen = sorted(ids)
    if not chosen:
        return {}
    wanted = as_list(chosen)
    entries: dict[int, dict[str, Entry]] = {}
    for tx, *row in connection.execute(
        """SELECT e.tx, e.treasury, t.txid, e.state, e.flow, e.amount, e.moved, e.fee, e.mixed, e.incident,
             e.confirmed, e.pending, e.baselined, e.final, e.level, e.correction, e.stated, e.confirmed_event,
             e.missing_ms
           FROM entries e JOIN transactions t ON t.id = e.tx
           WHERE e.tx IN (SELECT value FROM json_each(?))""",
        (wanted,),
    ):
        entry = _entry(row)
        entries.setdefault(tx, {})[entry.treasury] = entry
    rows = connection.execute(
        """SELECT id, txid, raw, block_height, block_hash, block_index, block_time, displaced_by, held, trust,
             sources
           FROM transactions WHERE id IN (SELECT value FROM json_each(?))""",
        (wanted,),
    )
    return {Txid(txid): _transaction(row, entries.get(tx, {})) for tx, txid, *row in rows}


def load_coins(connection: sqlite3.Connection, transactions: Iterable[Transaction]) -> dict[Outpoint, Coin]:
    """The coins of watched scripts that these transactions spend."""
    wanted = _coins_spent(transactions)
    if not wanted:
        return {}
    rows = connection.execute(
        """SELECT c.txid, c.vout, c.sats, s.script_pubkey, t.block_time
           FROM json_each(?) j
           JOIN coins c ON c.txid = j.key AND c.vout = j.value
           JOIN scripts s ON s.id = c.script
           LEFT JOIN transactions t ON t.txid = c.txid""",
        (wanted,),
    )
    return {
        Outpoint(Txid(txid), vout): Coin(TxOutput(sats, script), block_time)
        for txid, vout, sats, script, block_time in rows
    }


def load_first_spends(connection: sqlite3.Connection, scripts: Iterable[bytes]) -> dict[bytes, Txid]:
    """Of each of these scripts the first transaction kept that spends from it, if any."""
    rows = connection.execute(
        """SELECT f.script_pubkey, t.txid FROM (
             SELECT s.script_pubkey,
               (SELECT o.tx FROM touches o WHERE o.script = s.id AND o.spent > 0 ORDER BY o.tx LIMIT 1) AS tx
             FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value) f
           JOIN transactions t ON t.id = f.tx""",
        (as_list(scripthash(script) for script in scripts),),
    )
    return {row["script_pubkey"]: Txid(row["txid"]) for row in rows}


def load_members(
    connection: sqlite3.Connection, transactions: Iterable[Transaction], coins: Mapping[Outpoint, Coin]
) -> dict[bytes, Member]:
    """The watched scripts among the outputs of these transactions and the coins they spend."""
    scripts = {o.script_pubkey for tx in transactions for o in tx.outputs}
    scripts |= {coin.output.script_pubkey for coin in coins.values()}
    if not scripts:
        return {}
    rows = connection.execute(
        """SELECT s.scripthash, s.script_pubkey, s.read_ms, w.treasury, w.address, w.label, w.baselined,
                  w.anchor_height, w.anchor_hash
           FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value
           JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL
           WHERE w.anchor_height IS NOT NULL""",
        (as_list(scripthash(script) for script in scripts),),
    )
    return {
        row["script_pubkey"]: Member(
            treasury=row["treasury"],
            scripthash=row["scripthash"],
            script_pubkey=row["script_pubkey"],
            address=row["address"],
            label=row["label"],
            anchor=BlockRef(row["anchor_height"], BlockHash(row["anchor_hash"])),
            baselined=bool(row["baselined"]),
            read=row["read_ms"] is not None,
        )
        for row in rows
    }


def _sighted(connection: sqlite3.Connection, seen: Observation) -> set[int]:
    if not seen.sightings:
        return set()
    rows = connection.execute(
        "SELECT t.id FROM json_each(?) j JOIN transactions t ON t.txid = j.value",
        (as_list(seen.sightings),),
    )
    return {row[0] for row in rows}


def _on_scripts_read(connection: sqlite3.Connection, seen: Observation) -> set[int]:
    """Unsettled transactions that a reading may find absent.

    From the scripts read, and only what touched them since the oldest that is unsettled: neither a long
    past nor a flood of unconfirmed transactions elsewhere is visited.
    """
    oldest = connection.execute(_OLDEST_UNSETTLED).fetchone()[0]
    if oldest is None or not seen.readings:
        return set()
    rows = connection.execute(
        """SELECT DISTINCT o.tx FROM json_each(?) j CROSS JOIN scripts s ON s.scripthash = j.value
           CROSS JOIN touches o ON o.script = s.id AND o.tx >= ?""",
        (as_list(seen.readings), oldest),
    )
    return _unsettled(connection, {row[0] for row in rows})


def _unsettled(connection: sqlite3.Connection, ids: set[int]) -> set[int]:
    """Which of these are unsettled."""
    if not ids:
        return set()
    rows = connection.execute(
        """SELECT j.value FROM json_each(?) j
           WHERE EXISTS (SELECT 1 FROM entries e WHERE e.tx = j.value AND e.state IN ('held', 'missing'))
              OR EXISTS (SELECT 1 FROM transactions t WHERE t.id = j.value AND t.displaced_by IS NOT NULL)""",
        (as_list(ids),),
    )
    return {row[0] for row in rows}


def _climbing(connection: sqlite3.Connection, height: int, rungs: list[int]) -> set[int]:
    """Confirmed transactions that have passed a rung since they were last judged."""
    rows = connection.execute(
        """SELECT e.tx FROM entries e JOIN transactions t ON t.id = e.tx
           WHERE e.state = 'confirmed' AND e.final = 0 AND e.baselined = 0 AND t.displaced_by IS NULL
             AND EXISTS (SELECT 1 FROM json_each(?) rung
                         WHERE e.level < rung.value AND rung.value <= ? - t.block_height + 1)""",
        (as_list(rungs), height),
    )
    return {row[0] for row in rows}


def _with_rivals_and_descendants(
    connection: sqlite3.Connection, seen: Observation, ids: set[int]
) -> set[int]:
    """With what competes for coins of the sighted and the unsettled, and what would fall with these."""
    found = ids | _spending(connection, (s.tx for s in seen.sightings.values()))
    fresh = _unsettled(connection, found)
    while fresh:
        rows = connection.execute(
            "SELECT raw FROM transactions WHERE id IN (SELECT value FROM json_each(?))",
            (as_list(fresh),),
        )
        parsed = [_parsed(row["raw"]) for row in rows]
        rows = connection.execute(
            "SELECT s.tx FROM json_each(?) j JOIN spends s ON s.txid = j.value",
            (as_list(tx.txid for tx in parsed),),
        )
        more = ({row["tx"] for row in rows} | _spending(connection, parsed)) - found
        found |= more
        fresh = _unsettled(connection, more)
    return found


def _spending(connection: sqlite3.Connection, transactions: Iterable[Transaction]) -> set[int]:
    """The transactions kept that spend a coin which one of these spends."""
    coins = _coins_spent(transactions)
    if not coins:
        return set()
    rows = connection.execute(
        "SELECT s.tx FROM json_each(?) j JOIN spends s ON s.txid = j.key AND s.vout = j.value", (coins,)
    )
    return {row[0] for row in rows}


def _coins_spent(transactions: Iterable[Transaction]) -> str:
    """For `json_each`; empty if there is none."""
    spent = [i.outpoint for tx in transactions if not tx.is_coinbase for i in tx.inputs]
    return as_pairs(spent) if spent else ""


def _corrected(connection: sqlite3.Connection, incidents: set[str]) -> frozenset[str]:
    if not incidents:
        return frozenset()
    rows = connection.execute(
        """SELECT DISTINCT e.incident FROM json_each(?) j JOIN events e ON e.incident = j.value
           WHERE e.type IN (SELECT value FROM json_each(?))""",
        (as_list(incidents), _CORRECTIONS),
    )
    return frozenset(row[0] for row in rows)


def _entry(row: list[Any]) -> Entry:
    """From the columns in the order of its fields."""
    treasury, txid, state, flow, amount, moved, fee, mixed, incident, *sums = row
    confirmed, pending, baselined, final, *noted = sums
    level, correction, stated, confirmed_event, missing_ms = noted
    return Entry(
        treasury,
        Txid(txid),
        State(state),
        Flow(flow),
        amount,
        moved,
        fee,
        bool(mixed),
        incident,
        confirmed,
        pending,
        bool(baselined),
        bool(final),
        level,
        correction,
        stated,
        confirmed_event,
        missing_ms,
    )


@lru_cache(maxsize=64)
def _sources(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored))


def _transaction(row: list[Any], entries: dict[str, Entry]) -> KnownTransaction:
    raw, height, block_hash, index, block_time, displaced, held, trust, sources = row
    confirmed = None
    if height is not None:
        confirmed = Confirmed(BlockRef(height, BlockHash(block_hash)), index)
    return KnownTransaction(
        tx=_parsed(raw),
        confirmed=confirmed,
        held=bool(held),
        trust=Trust(trust),
        sources=_sources(sources),
        block_time=block_time,
        displaced_by=None if displaced is None else BlockHash(displaced),
        entries=entries,
    )
