"""The watch list changed: the books are read again, the sum follows, what means something else is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.core.journal import Journal
from watcher.core.known import Known, State
from watcher.core.reclassify import reclassify
from watcher.ledger import chain
from watcher.ledger.load import (
    balances,
    last_sequence,
    load_coins,
    load_first_spends,
    load_members,
    load_transactions,
)
from watcher.ledger.store import store_entries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from watcher.bitcoin.types import Sats, Txid
    from watcher.core.events import Data, Event
    from watcher.core.known import Entry, KnownTransaction, Terms


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one treasury's list, as the log will tell it; `told` events precede it in this commit."""

    terms: Terms
    treasury: str
    at_ms: int
    told: int


def restate(
    connection: sqlite3.Connection, change: Change, event_type: str, data: Data, ids: Iterable[int]
) -> list[Event]:
    """Read the entries of these transactions (row ids) again, and tell the change of the sum by `event_type`.

    The list in the ledger is already the new one. An entry that no script of the treasury touches any
    more has left it.
    """
    known = _known(connection, change, ids)
    readings = reclassify(known, change.treasury)
    store_entries(connection, [reading.entry for reading in readings])
    journal = Journal(known, change.at_ms)
    delta = recount(connection, change.treasury)
    lowers = event_type == "watch.removed" and delta[0] < 0
    event = journal.other(event_type, data, treasury=change.treasury, delta=delta, critical=lowers)
    for reading in readings:
        txid = reading.entry.txid
        transaction = known.transactions[txid]
        entry = _entry(connection, txid, change.treasury)
        if entry.state is State.LEFT:
            # a later return is another story: its events must not be taken for those told already
            connection.execute(
                """UPDATE entries SET correction = ? WHERE treasury = ?
                   AND tx = (SELECT id FROM transactions WHERE txid = ?)""",
                (event.id, change.treasury, txid),
            )
        elif reading.is_news:
            told = journal.transaction(
                "tx.reclassified",
                entry,
                entry,
                reading.meaning,
                trust=transaction.trust,
                sources=transaction.sources,
                block=None if transaction.settled is None else transaction.settled.block,
                block_time=transaction.block_time,
                confirmations=_confirmations(connection, transaction),
                supersedes=entry.stated,
            )
            store_entries(connection, [told])
    balance = journal.balances[change.treasury]
    connection.execute(
        "UPDATE treasuries SET confirmed = ?, pending = ?, last_change_ms = ? WHERE name = ?",
        (balance.confirmed, balance.pending, change.at_ms, change.treasury),
    )
    return journal.events


def recount(connection: sqlite3.Connection, treasury: str) -> tuple[Sats, Sats]:
    """Bring what the log's sum holds of each entry in line with the entry; the change of the sum.

    What waits for a baseline still to come is left to it.
    """
    before = _total(connection, treasury)
    connection.execute(
        f"""UPDATE entries SET
             confirmed = CASE state WHEN '{State.CONFIRMED}' THEN amount ELSE 0 END,
             pending = CASE WHEN state = '{State.HELD}' THEN amount
                            WHEN state = '{State.MISSING}' AND pending <> 0 THEN amount ELSE 0 END
           WHERE treasury = ? AND (baselined = 0 OR state = '{State.LEFT}' OR EXISTS (
             SELECT 1 FROM touches o CROSS JOIN watches w ON w.script = o.script AND w.removed_ms IS NULL
             WHERE o.tx = entries.tx AND w.treasury = entries.treasury AND w.baselined = 1))""",  # noqa: S608 - the names of our own states
        (treasury,),
    )
    after = _total(connection, treasury)
    return after[0] - before[0], after[1] - before[1]


def bare(connection: sqlite3.Connection, terms: Terms, told: int = 0) -> Known:
    """What an event needs that is about no transaction; `told` others precede it in this commit."""
    return Known(
        terms=terms,
        last_sequence=last_sequence(connection) + told,
        balances=balances(connection),
        members={},
        coins={},
        transactions={},
    )


def _known(connection: sqlite3.Connection, change: Change, ids: Iterable[int]) -> Known:
    transactions = load_transactions(connection, ids)
    coins = load_coins(connection, [t.tx for t in transactions.values()])
    members = load_members(connection, [t.tx for t in transactions.values()], coins)
    return Known(
        terms=change.terms,
        last_sequence=last_sequence(connection) + change.told,
        balances=balances(connection),
        members=members,
        coins=coins,
        transactions=transactions,
        first_spends=load_first_spends(connection, members),
    )


def _confirmations(connection: sqlite3.Connection, transaction: KnownTransaction) -> int:
    top = chain.tip(connection)
    if transaction.settled is None or top is None:
        return 0
    return top.height - transaction.settled.block.height + 1


def _total(connection: sqlite3.Connection, treasury: str) -> tuple[Sats, Sats]:
    row = connection.execute(
        "SELECT coalesce(sum(confirmed), 0), coalesce(sum(pending), 0) FROM entries WHERE treasury = ?",
        (treasury,),
    ).fetchone()
    return row[0], row[1]


def _entry(connection: sqlite3.Connection, txid: Txid, treasury: str) -> Entry:
    row = connection.execute("SELECT id FROM transactions WHERE txid = ?", (txid,)).fetchone()
    return load_transactions(connection, [row["id"]])[txid].entries[treasury]
