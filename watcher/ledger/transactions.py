"""Keeps transactions with their proof: which coins they make and spend, and which scripts they touch."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Confirmed, Outpoint, Txid
from watcher.ledger.load import UNSETTLED
from watcher.ledger.many import as_list, as_pairs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping

    from watcher.bitcoin.transactions import Transaction
    from watcher.bitcoin.types import Sats, Unconfirmed
    from watcher.core.observation import Observation, Sighting
    from watcher.core.reconcile import Outcome


class _Coin(NamedTuple):
    """An output that pays a script of ours: of which transaction and which script, by row."""

    outpoint: Outpoint
    tx: int
    script: int
    sats: Sats


def store_transactions(
    connection: sqlite3.Connection, outcome: Outcome, seen: Observation, kept: Collection[Txid]
) -> None:
    """Each sighted transaction that matters, where it is now, and where the others are no longer.

    `kept` has those of them that the ledger held before.
    """
    placed = {txid: position for txid, position in outcome.positions.items() if position is not None}
    sighted = sorted(placed, key=lambda txid: not isinstance(placed[txid], Confirmed))
    rivals = (outcome.rivals - outcome.positions.keys()) & seen.sightings.keys()
    found = [seen.sightings[txid] for txid in [*sighted, *sorted(rivals)]]
    _keep(connection, found, placed, kept, seen.at_ms)
    if gone := outcome.positions.keys() - placed.keys():
        connection.execute(
            """UPDATE transactions SET held = 0, displaced_by = NULL, block_height = NULL,
               block_hash = NULL, block_index = NULL, block_time = NULL, branch = NULL
               WHERE txid IN (SELECT value FROM json_each(?))""",
            (as_list(gone),),
        )


def _keep(
    connection: sqlite3.Connection,
    sightings: Collection[Sighting],
    placed: Mapping[Txid, Confirmed | Unconfirmed],
    kept: Collection[Txid],
    at_ms: int,
) -> None:
    """Keep them, at their place if they have one.

    One that is kept already may pay scripts that were not watched then; what it spends was noted with it.
    """
    if not sightings:
        return
    connection.executemany(
        """INSERT INTO transactions (txid, raw, block_height, block_hash, block_index, block_time, branch,
             held, trust, sources, first_seen_ms)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (txid) DO UPDATE SET displaced_by = NULL, block_height = excluded.block_height,
             block_hash = excluded.block_hash, block_index = excluded.block_index,
             block_time = excluded.block_time, branch = excluded.branch, held = excluded.held,
             trust = excluded.trust, sources = excluded.sources""",
        [
            _row(sighting, placed.get(sighting.tx.txid), at_ms)
            for sighting in sightings
            if sighting.tx.txid in placed or sighting.tx.txid not in kept
        ],
    )
    ids = row_ids(connection, [sighting.tx.txid for sighting in sightings])
    paid = {output.script_pubkey for sighting in sightings for output in sighting.tx.outputs}
    scripts = _script_ids(connection, paid)
    made = _coins_of(((ids[s.tx.txid], s.tx) for s in sightings), scripts)
    _link(connection, made, {ids[s.tx.txid]: s.tx for s in sightings if s.tx.txid not in kept})


def _row(sighting: Sighting, position: Confirmed | Unconfirmed | None, at_ms: int) -> tuple[object, ...]:
    block: tuple[object, ...] = (None,) * 5
    if isinstance(position, Confirmed):
        # backwards twice: the siblings stay in their order, each as it was hashed
        branch = bytes.fromhex("".join(reversed(sighting.siblings)))[::-1]
        block = (position.block.height, position.block.hash, position.index, sighting.block_time, branch)
    held = position is not None and not isinstance(position, Confirmed)
    told = (str(sighting.trust), _names(sighting.sources), at_ms)
    return (sighting.tx.txid, sighting.tx.stripped, *block, held, *told)


@lru_cache(maxsize=64)
def _names(sources: tuple[str, ...]) -> str:
    return json.dumps(sources)


def index_known(
    connection: sqlite3.Connection, scripts: Collection[tuple[bytes, int, Collection[Txid]]]
) -> None:
    """Transactions kept before these scripts (by row) were watched pay or spend them too: note it.

    With each script goes what its history holds. What is noted to pay it was looked at before. Also of
    transactions whose place is open: that the histories lack them is what settles them.
    """
    open_ = connection.execute(f"SELECT id, raw FROM transactions WHERE id IN ({UNSETTLED})")  # noqa: S608 - a constant of ours
    rows_of = {script_pubkey: script for script_pubkey, script, _ in scripts}
    made = _coins_of(((tx, parse_transaction(raw)) for tx, raw in open_), rows_of)
    for script_pubkey, script, past in scripts:
        if not past:
            continue
        rows = connection.execute(
            """SELECT t.id, t.raw FROM json_each(?) j JOIN transactions t ON t.txid = j.value
               WHERE NOT EXISTS (SELECT 1 FROM coins c WHERE c.txid = t.txid AND c.script = ?)""",
            (as_list(past), script),
        )
        made += _coins_of(((tx, parse_transaction(raw)) for tx, raw in rows), {script_pubkey: script})
    _link(connection, made, {})


def spending_from_new(connection: sqlite3.Connection, txids: Iterable[Txid]) -> tuple[set[int], set[int]]:
    """The rows of those that spend from such of these as are not kept yet.

    First those in a block of our chain, then those that are held.
    """
    rows = connection.execute(
        """SELECT t.id, t.held FROM json_each(?) j CROSS JOIN spends p ON p.txid = j.value
           CROSS JOIN transactions t ON t.id = p.tx
           WHERE (t.held = 1 OR (t.block_height IS NOT NULL AND t.displaced_by IS NULL))
             AND NOT EXISTS (SELECT 1 FROM transactions k WHERE k.txid = j.value)""",
        (as_list(txids),),
    ).fetchall()
    return {row["id"] for row in rows if not row["held"]}, {row["id"] for row in rows if row["held"]}


def without_entry(connection: sqlite3.Connection, treasury: str, txids: Iterable[Txid]) -> set[int]:
    """Of these that are kept, the rows of those that are not in the treasury's book."""
    rows = connection.execute(
        """SELECT t.id FROM json_each(?) j JOIN transactions t ON t.txid = j.value
           WHERE NOT EXISTS (SELECT 1 FROM entries e
             WHERE e.tx = t.id AND e.treasury = ? AND e.state <> 'left')""",
        (as_list(txids), treasury),
    )
    return {row[0] for row in rows}


def _coins_of(transactions: Iterable[tuple[int, Transaction]], scripts: Mapping[bytes, int]) -> list[_Coin]:
    """The outputs that pay these scripts; both by row."""
    return [
        _Coin(Outpoint(tx.txid, vout), row, scripts[output.script_pubkey], output.sats)
        for row, tx in transactions
        for vout, output in enumerate(tx.outputs)
        if output.script_pubkey in scripts
    ]


def _link(
    connection: sqlite3.Connection, made: Collection[_Coin], spending: Mapping[int, Transaction]
) -> None:
    """Note these coins, unless they are noted, and what these new transactions spend.

    A spend of a coin counts once: with whichever of the two is known last.
    """
    if not made and not spending:
        return
    # a new transaction's coins are new too
    known = _coins(connection, {coin.outpoint.txid for coin in made if coin.tx not in spending})
    new = {coin.outpoint: coin for coin in made if coin.outpoint not in known}
    connection.executemany(
        "INSERT INTO coins (txid, vout, script, sats) VALUES (?, ?, ?, ?)",
        [(*coin.outpoint, coin.script, coin.sats) for coin in new.values()],
    )
    spends = [(spent.outpoint, tx) for tx, transaction in spending.items() for spent in transaction.inputs]
    connection.executemany(
        "INSERT INTO spends (txid, vout, tx) VALUES (?, ?, ?)", [(*outpoint, tx) for outpoint, tx in spends]
    )
    touches = [(coin.script, coin.tx, coin.sats, 0) for coin in new.values()]
    rows = connection.execute(
        """SELECT p.txid, p.vout, p.tx, c.script, c.sats FROM json_each(?) j
           JOIN coins c ON c.txid = j.key AND c.vout = j.value
           JOIN spends p ON p.txid = c.txid AND p.vout = c.vout""",
        (as_pairs(new.keys() | {outpoint for outpoint, _ in spends}),),
    )
    touches += [
        (script, tx, 0, sats)
        for txid, vout, tx, script, sats in rows
        if tx in spending or (txid, vout) in new
    ]
    connection.executemany(
        """INSERT INTO touches (script, tx, received, spent) VALUES (?, ?, ?, ?)
           ON CONFLICT (script, tx) DO UPDATE SET
             received = received + excluded.received, spent = spent + excluded.spent""",
        touches,
    )


def row_ids(connection: sqlite3.Connection, txids: Iterable[Txid]) -> dict[str, int]:
    """The rows of those that are kept."""
    rows = connection.execute(
        "SELECT t.txid, t.id FROM json_each(?) j JOIN transactions t ON t.txid = j.value",
        (as_list(txids),),
    )
    return dict(map(tuple, rows))


def _coins(connection: sqlite3.Connection, txids: Collection[Txid]) -> set[tuple[str, int]]:
    if not txids:
        return set()
    rows = connection.execute(
        "SELECT c.txid, c.vout FROM json_each(?) j JOIN coins c ON c.txid = j.value",
        (as_list(txids),),
    )
    return set(map(tuple, rows))


def _script_ids(connection: sqlite3.Connection, scripts: Iterable[bytes]) -> dict[bytes, int]:
    rows = connection.execute(
        "SELECT s.script_pubkey, s.id FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value",
        (as_list(scripthash(script) for script in scripts),),
    )
    return dict(map(tuple, rows))
