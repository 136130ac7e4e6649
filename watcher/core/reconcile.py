"""What the ledger knew and what was observed in, events and the new book out.

The laws, for every treasury and every prefix of the log:

1. The sum of all `delta_sats` is the sum of (confirmed, pending) over the book, and that is what the
   treasury's scripts hold, on our chain and beyond it.
2. Observing the same thing twice, or through another source, tells nothing.
3. A transaction leaves before it arrives: first what a new branch took out, then what lost its coins to
   a rival, then what the observation brings, by height and place in the block, parents before children.
4. A confirmed transaction leaves only because its block left our chain (`displaced_by`) and a complete
   reading of the new branch does not have it there. Absence from a history proves nothing else about it.
5. An unconfirmed transaction falls when another spend of one of its coins is confirmed, or is held while
   it is not; without a rival it falls when it was absent from complete readings for `dropped_after`.
6. What falls takes its descendants along.
7. Below a watch's anchor the past is counted by the baseline, silently; above it everything is told.

No I/O, no clock, no chance: the same two arguments always give the same outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.bitcoin.headers import parse_header
from watcher.bitcoin.types import Confirmed, Unconfirmed
from watcher.core.book import Book, Climb
from watcher.core.events import block_data
from watcher.core.known import State
from watcher.core.observation import Sighting
from watcher.core.view import View, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.bitcoin.transactions import Transaction
    from watcher.bitcoin.types import Txid
    from watcher.core.events import Event
    from watcher.core.known import Balance, Entry, Known, KnownTransaction
    from watcher.core.observation import Observation


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that one observation changes.

    `positions` tells where each transaction is now (None: nowhere); `entries` are the changed ones;
    `rivals` are transactions that may touch no treasury and are kept because an event names them, `strangers`
    those of the observation that touch none.
    """

    events: tuple[Event, ...]
    climbs: tuple[Climb, ...]
    entries: tuple[Entry, ...]
    positions: Mapping[Txid, Confirmed | Unconfirmed | None]
    balances: Mapping[str, Balance]
    rivals: frozenset[Txid]
    strangers: frozenset[Txid]


def reconcile(known: Known, seen: Observation) -> Outcome:
    """Fold an observation into what was known."""
    work = _Reconciliation(known, seen)
    work.reorganize()
    work.unconfirm()
    work.fall()
    work.arrive()
    work.book.climb()
    return work.outcome()


class _Reconciliation:
    """One fold in progress: the steps, in the order of law 3."""

    def __init__(self, known: Known, seen: Observation) -> None:
        self.known = known
        self.seen = seen
        self.view = View(known, seen)
        self.book = Book(known, seen, self.view)
        self.positions: dict[Txid, Confirmed | Unconfirmed | None] = {}
        self.rivals: set[Txid] = set()
        self.strangers: set[Txid] = set()

    def reorganize(self) -> None:
        change = self.seen.chain
        if change is None or change.depth == 0:
            return
        told: dict[str, object] = {
            "fork": block_data(change.fork, change.fork_time),
            "depth": change.depth,
            "old_tip": block_data(change.old_tip, change.old_tip_time),
            "new_tip": block_data(change.new_tip, parse_header(change.headers[-1]).time),
        }
        self.book.journal.other("chain.reorganized", told)

    def unconfirm(self) -> None:
        """What a new branch took out of the chain, last block first, as the chain itself unwinds."""
        displaced = [t for t in self.known.transactions.values() if t.displaced_by is not None]
        ousted = self._ousted_with_descendants() if displaced else set()
        for transaction in sorted(displaced, key=place, reverse=True):
            txid = transaction.tx.txid
            held = isinstance(self.view.sighted(txid), Unconfirmed)
            if held or self.view.is_absent(transaction.tx) or txid in ousted:
                self.positions[txid] = Unconfirmed() if held else None
                self.book.unconfirm(transaction, held=held)

    def _ousted_with_descendants(self) -> set[Txid]:
        ousted: set[Txid] = set()
        for tx in self.view.parents_first(t.tx for t in self.known.transactions.values() if not t.settled):
            orphaned = any(spent.outpoint.txid in ousted for spent in tx.inputs)
            if self._is_ousted(tx) or (orphaned and not isinstance(self.view.sighted(tx.txid), Confirmed)):
                ousted.add(tx.txid)
        return ousted

    def _is_ousted(self, tx: Transaction) -> bool:
        """A rival is proven to be in the chain, so this one cannot be, whatever was not yet read."""
        verdict = None if isinstance(self.view.sighted(tx.txid), Confirmed) else self.view.victor(tx)
        return verdict is not None and verdict[0] is State.CONFLICTED

    def fall(self) -> None:
        """What lost its coins, ancestors first, and what was absent for too long."""
        fallen: dict[Txid, tuple[State, Txid]] = {}
        live = [t.tx for t in self.known.transactions.values() if self.book.is_live(t.tx.txid)]
        for tx in self.view.parents_first(live):
            if isinstance(self.view.sighted(tx.txid), Confirmed):
                continue
            verdict = self.view.victor(tx) or _parents_verdict(tx, fallen)
            if verdict is not None:
                fallen[tx.txid] = verdict
                self.positions[tx.txid] = None
                self.rivals.add(verdict[1])
                self.book.lose(self.known.transactions[tx.txid], *verdict)
            elif self.view.is_absent(tx):
                self.positions[tx.txid] = None
                self.book.miss(self.known.transactions[tx.txid])

    def arrive(self) -> None:
        """What the observation brings: confirmed by place in the chain, then unconfirmed, parents first."""
        confirmed: list[tuple[Confirmed, Sighting]] = []
        loose: list[Transaction] = []
        for sighting in self.seen.sightings.values():
            if not self.view.touched(sighting.tx):
                self.strangers.add(sighting.tx.txid)
                # nobody would notice when a stranger's transaction leaves a mempool: only its block is kept
                if sighting.tx.txid in self.rivals and isinstance(sighting.position, Confirmed):
                    self.positions[sighting.tx.txid] = sighting.position
            elif isinstance(sighting.position, Confirmed):
                confirmed.append((sighting.position, sighting))
            else:
                loose.append(sighting.tx)
        for position, sighting in sorted(confirmed, key=lambda c: (c[0].block.height, c[0].index)):
            self.positions[sighting.tx.txid] = position
            self.book.confirm(sighting, position)
        left_out: set[Txid] = set()
        for tx in self.view.parents_first(loose):
            # of rivals the one in a block stays, and else the one that came first; children follow
            ousted = self._is_ousted(tx) or any(self._is_held(rival) for rival in self.view.rivals(tx))
            if ousted or any(spent.outpoint.txid in left_out for spent in tx.inputs):
                left_out.add(tx.txid)
                continue
            known = self.known.transactions.get(tx.txid)
            if known is not None and known.settled is not None:
                continue  # said before its block came: only a new branch takes a block away
            self.positions[tx.txid] = Unconfirmed()
            self.book.hold(self.seen.sightings[tx.txid])
        for known in self._held_before_their_coin():
            self.book.hold(Sighting(known.tx, Unconfirmed(), known.trust, known.sources))

    def _held_before_their_coin(self) -> list[KnownTransaction]:
        """What is held, and was told without a coin that is shown only now."""
        new = self.seen.sightings.keys() - self.known.transactions.keys()
        found = (
            t.tx
            for t in self.known.transactions.values()
            if t.held
            and any(spent.outpoint.txid in new for spent in t.tx.inputs)
            and self.book.is_live(t.tx.txid)
            and not (t.tx.txid in self.seen.sightings or self.view.is_absent(t.tx))
        )
        return [self.known.transactions[tx.txid] for tx in self.view.parents_first(found)]

    def _is_held(self, txid: Txid) -> bool:
        return self.book.is_live(txid) or isinstance(self.positions.get(txid), Unconfirmed)

    def outcome(self) -> Outcome:
        return Outcome(
            events=tuple(self.book.journal.events),
            climbs=tuple(self.book.climbs),
            entries=self.book.changed(),
            positions=self.positions,
            balances=self.book.journal.balances,
            rivals=frozenset(self.rivals),
            strangers=frozenset(self.strangers),
        )


def _parents_verdict(tx: Transaction, fallen: Mapping[Txid, tuple[State, Txid]]) -> tuple[State, Txid] | None:
    """What befell a parent befalls the child."""
    return next((fallen[i.outpoint.txid] for i in tx.inputs if i.outpoint.txid in fallen), None)
