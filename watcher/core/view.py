"""The questions that reconciling asks of what was known and what was observed, taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.bitcoin.types import Confirmed, Outpoint, Unconfirmed
from watcher.core.known import Coin, KnownTransaction, State
from watcher.core.meaning import nets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watcher.bitcoin.transactions import Transaction
    from watcher.bitcoin.types import Txid
    from watcher.core.known import Known, Member
    from watcher.core.observation import Observation, Sighting


class View:
    """Known and seen as one world; where both speak of a transaction, what was seen counts."""

    def __init__(self, known: Known, seen: Observation) -> None:
        self.known = known
        self.seen = seen
        self.members = known.members
        self.coins = {**known.coins, **_new_coins(seen.sightings.values(), known)}
        self._touched: dict[Txid, dict[str, list[Member]]] = {}
        self._spenders: dict[Outpoint, list[Txid]] = {}
        for txid in {**known.transactions, **seen.sightings}:
            tx = self.transaction(txid)
            if tx.is_coinbase:
                continue  # its one input is the same as every other's: they are no rivals
            for spent in tx.inputs:
                self._spenders.setdefault(spent.outpoint, []).append(txid)

    def transaction(self, txid: Txid) -> Transaction:
        """The transaction itself, from either side."""
        sighting = self.seen.sightings.get(txid)
        return sighting.tx if sighting is not None else self.known.transactions[txid].tx

    def touched(self, tx: Transaction) -> Mapping[str, list[Member]]:
        """The watched scripts that `tx` pays or spends, by treasury; kept, as it is asked again and again."""
        found = self._touched.get(tx.txid)
        if found is None:
            found = self._touched[tx.txid] = {}
            for script in nets(tx, self.members, self.coins):
                member = self.members[script]
                found.setdefault(member.treasury, []).append(member)
        return found

    def spent_scripts(self, tx: Transaction) -> list[bytes]:
        """The scripts of the known coins that `tx` spends."""
        coins = (self.coins.get(spent.outpoint) for spent in tx.inputs)
        return [coin.output.script_pubkey for coin in coins if coin is not None]

    def sighted(self, txid: Txid) -> Confirmed | Unconfirmed | None:
        """Where the observation itself has it."""
        sighting = self.seen.sightings.get(txid)
        return None if sighting is None else sighting.position

    def is_absent(self, tx: Transaction) -> bool:
        """A complete reading of a script it touches lacks it, and nothing in the observation has it."""
        if tx.txid in self.seen.sightings:
            return False
        readings = [
            self.seen.readings[member.scripthash]
            for members in self.touched(tx).values()
            for member in members
            if member.scripthash in self.seen.readings
        ]
        return bool(readings) and not any(tx.txid in reading.txids for reading in readings)

    def rivals(self, tx: Transaction) -> list[Txid]:
        """Other transactions that spend a coin of `tx`, whatever became of them."""
        found: dict[Txid, None] = {}
        for spent in tx.inputs:
            for txid in self._spenders.get(spent.outpoint, ()):
                if txid != tx.txid:
                    found[txid] = None
        return list(found)

    def victor(self, tx: Transaction) -> tuple[State, Txid] | None:
        """The rival that has taken a coin of `tx`: confirmed, or held while `tx` is not."""
        held: Txid | None = None
        for txid in self.rivals(tx):
            where = self._standing(txid)
            if isinstance(where, Confirmed):
                return State.CONFLICTED, txid
            if isinstance(where, Unconfirmed) and held is None:
                held = txid
        if held is None or isinstance(self.sighted(tx.txid), Unconfirmed):
            return None
        if self.sighted(held) is not None or self.is_absent(tx):
            return State.REPLACED, held
        return None

    def _standing(self, txid: Txid) -> Confirmed | Unconfirmed | None:
        """Where a transaction is, by the observation, else by the ledger; None where nobody has it."""
        sighted = self.sighted(txid)
        if sighted is not None:
            return sighted
        known = self.known.transactions.get(txid)
        if known is None:
            return None
        if known.settled is not None:
            return known.settled
        followed = any(entry.is_live for entry in known.entries.values())
        return Unconfirmed() if followed and known.held and not self.is_absent(known.tx) else None

    def parents_first(self, transactions: Iterable[Transaction]) -> list[Transaction]:
        """Ancestors before descendants, otherwise by txid; the order does not depend on the input's."""
        waiting = {tx.txid: tx for tx in sorted(transactions, key=lambda tx: tx.txid)}
        ordered: list[Transaction] = []
        path: list[Transaction] = []
        while waiting:
            path.append(waiting.pop(next(iter(waiting))))
            while path:
                parent = next(
                    (waiting.pop(i.outpoint.txid) for i in path[-1].inputs if i.outpoint.txid in waiting),
                    None,
                )
                if parent is None:
                    ordered.append(path.pop())
                else:
                    path.append(parent)
        return ordered


def _new_coins(sightings: Iterable[Sighting], known: Known) -> dict[Outpoint, Coin]:
    """Outputs of sighted transactions that pay a watched script."""
    return {
        Outpoint(sighting.tx.txid, vout): Coin(output, sighting.block_time)
        for sighting in sightings
        for vout, output in enumerate(sighting.tx.outputs)
        if output.script_pubkey in known.members
    }


def place(transaction: KnownTransaction) -> tuple[int, int, Txid]:
    """The order of the chain."""
    confirmed = transaction.confirmed
    if confirmed is None:
        return (-1, -1, transaction.tx.txid)
    return (confirmed.block.height, confirmed.index, transaction.tx.txid)
