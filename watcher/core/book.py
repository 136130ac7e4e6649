"""The treasuries' books while an observation is folded in: an entry's change and the event telling it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from watcher.bitcoin.types import Confirmed
from watcher.core.identity import transaction_incident
from watcher.core.journal import Journal
from watcher.core.known import Entry, State
from watcher.core.meaning import Meaning, meaning
from watcher.core.observation import Sighting, Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import BlockRef, Outpoint, Txid
    from watcher.core.known import Known, KnownTransaction
    from watcher.core.observation import Observation
    from watcher.core.view import View

# A reason is from a closed list: a server's own words never enter an event.
ABSENT: Final = "absent"  # gone from every fresh source, and no rival spend of its coins is known
ORPHANED: Final = "orphaned"  # a coinbase whose block left our chain: it exists nowhere else

_FALLS: Final = {State.REPLACED: "tx.replaced", State.CONFLICTED: "tx.conflicted"}


class Climb(msgspec.Struct, frozen=True):
    """An entry reached a higher level: rungs above `from_level`, up to the entry's own, are judged now."""

    entry: Entry
    from_level: int


class Book:
    """Every entry the observation may change, and the journal that tells of it."""

    def __init__(self, known: Known, seen: Observation, view: View) -> None:
        self._terms = known.terms
        self._known = known
        self._seen = seen
        self._view = view
        self._before = {
            (treasury, txid): entry
            for txid, transaction in known.transactions.items()
            for treasury, entry in transaction.entries.items()
        }
        self._entries = dict(self._before)
        self._first_spends = dict(known.first_spends)
        self.journal = Journal(known, seen.at_ms)
        self.climbs: list[Climb] = []

    def is_live(self, txid: Txid) -> bool:
        """Some treasury's book has it as unconfirmed."""
        return any(entry.is_live for entry in self._of(txid))

    def changed(self) -> tuple[Entry, ...]:
        """The entries that differ from what was known."""
        return tuple(e for key, e in self._entries.items() if self._before.get(key) != e)

    # -- leaving -----------------------------------------------------------------------------------

    def unconfirm(self, transaction: KnownTransaction, *, held: bool) -> None:
        """Its block left our chain; `held` where it is known unconfirmed now."""
        assert transaction.confirmed is not None
        for entry in self._of(transaction.tx.txid):
            if entry.state is not State.CONFIRMED:
                continue
            meant = self._meaning(transaction.tx, entry.treasury, {})
            entry = self._restated(entry, meant)  # noqa: PLW2901 - the entry as it is now
            after = replace(
                entry,
                state=State.HELD if held else State.MISSING,
                confirmed=0,
                pending=meant.amount if held else 0,
                final=False,
                level=0,  # a confirmation that was taken back climbs its rungs again
                confirmed_event=None,
                missing_ms=None if held else self._seen.at_ms,
            )
            if self._is_silent(entry, transaction.tx):
                self._put(replace(after, pending=0))
                continue
            sighting = self._seen.sightings.get(transaction.tx.txid)
            told = self.journal.transaction(
                "tx.unconfirmed",
                entry,
                after,
                meant,
                trust=Trust.REPORTED if sighting is None else sighting.trust,
                sources=transaction.sources if sighting is None else sighting.sources,
                block=transaction.confirmed.block,
                block_time=transaction.block_time,
                rival_block=transaction.displaced_by,
                supersedes=entry.stated,
                critical=entry.final,
            )
            self._put(replace(told, baselined=False))

    def lose(self, transaction: KnownTransaction, state: State, by: Txid) -> None:
        """Another spend of one of its coins, or of an ancestor's, has won."""
        winner = self._seen.sightings.get(by) or self._known.transactions.get(by)
        assert winner is not None
        for entry in self._of(transaction.tx.txid):
            if not entry.is_live:
                continue
            parent = self._incident_of_parent(transaction.tx, entry.treasury)
            after = replace(entry, state=state, pending=0, missing_ms=None, incident=parent or entry.incident)
            self._correct(_FALLS[state], transaction, entry, after, by=by, trust=winner.trust)

    def miss(self, transaction: KnownTransaction) -> None:
        """No source has it. It is given up after `dropped_after`; an orphaned coinbase at once."""
        now = self._seen.at_ms
        orphaned = transaction.tx.is_coinbase
        for entry in self._of(transaction.tx.txid):
            if not entry.is_live:
                continue
            since = entry.missing_ms if entry.state is State.MISSING else None
            if not orphaned and (since is None or now - since < self._terms.dropped_after_ms):
                if since is None:
                    self._put(replace(entry, state=State.MISSING, missing_ms=now))
                continue
            after = replace(entry, state=State.DROPPED, pending=0, missing_ms=None)
            reason = ORPHANED if orphaned else ABSENT
            self._correct("tx.dropped", transaction, entry, after, reason=reason, trust=Trust.REPORTED)

    def _correct(
        self,
        event_type: str,
        transaction: KnownTransaction,
        before: Entry,
        after: Entry,
        *,
        trust: Trust,
        by: Txid | None = None,
        reason: str | None = None,
    ) -> None:
        if self._is_silent(before, transaction.tx):
            self._put(after)
            return
        meant = self._meaning(transaction.tx, before.treasury, {})
        before = self._restated(before, meant)
        after = replace(before, state=after.state, pending=0, missing_ms=None, incident=after.incident)
        self._put(
            self.journal.transaction(
                event_type,
                before,
                after,
                meant,
                trust=trust,
                sources=transaction.sources,
                by=by,
                reason=reason,
                supersedes=before.stated,
            )
        )

    # -- arriving ----------------------------------------------------------------------------------

    def hold(self, sighting: Sighting) -> None:
        """It is known unconfirmed."""
        for treasury, touched in sorted(self._view.touched(sighting.tx).items()):
            entry = self._present(treasury, sighting.tx.txid)
            if entry is not None and entry.state is State.CONFIRMED:
                continue  # its block is not known to have left
            meant = self._meaning(sighting.tx, treasury, sighting.parents)
            if entry is not None and entry.state is State.HELD:
                self._put_right(sighting.tx, entry, meant)
                continue
            if entry is not None and entry.state is State.MISSING and entry.pending == meant.amount:
                self._put(replace(entry, state=State.HELD, missing_ms=None))  # never given up: nothing new
                continue
            before = self._restated(entry or self._new(sighting, treasury, meant, State.HELD), meant)
            after = replace(before, state=State.HELD, missing_ms=None)
            if entry is None and all(not m.baselined and not m.read for m in touched):
                self._put(replace(after, baselined=True, level=0))
            else:
                self._tell("tx.seen", sighting, before, replace(after, pending=meant.amount), meant)

    def confirm(self, sighting: Sighting, position: Confirmed) -> None:
        """It is proven to be in a block of our chain."""
        for treasury, touched in sorted(self._view.touched(sighting.tx).items()):
            entry = self._present(treasury, sighting.tx.txid)
            if entry is not None and entry.state is State.CONFIRMED:
                self._move(sighting, entry, position)
                continue
            meant = self._meaning(sighting.tx, treasury, sighting.parents)
            before = self._restated(entry or self._new(sighting, treasury, meant, State.CONFIRMED), meant)
            after = replace(before, state=State.CONFIRMED, missing_ms=None)
            in_the_past = all(not m.baselined and position.block.height <= m.anchor.height for m in touched)
            if in_the_past and (entry is None or entry.baselined):
                anchor = max(m.anchor.height for m in touched)
                deep = anchor - position.block.height + 1 >= self._terms.finality
                self._put(replace(after, baselined=True, level=self._terms.finality, final=deep))
                continue
            told = self._tell(
                "tx.confirmed", sighting, before, replace(after, confirmed=meant.amount, pending=0), meant,
                position.block,
            )  # fmt: skip
            self._put(replace(told, baselined=False, confirmed_event=self.journal.events[-1].sequence))

    def _move(self, sighting: Sighting, entry: Entry, position: Confirmed) -> None:
        meant = self._meaning(sighting.tx, entry.treasury, sighting.parents)
        entry = self._put_right(sighting.tx, entry, meant)
        if self._known.transactions[sighting.tx.txid].displaced_by is None:
            return
        if self._is_silent(entry, sighting.tx):
            return
        entry = self._restated(entry, meant)
        self._tell("tx.moved", sighting, entry, entry, meant, position.block)

    def _put_right(self, tx: Transaction, entry: Entry, meant: Meaning) -> Entry:
        """The entry with a coin of ours that was not known when it was told, and the event of the difference.

        Where a watch is still to be counted, its baseline brings the difference.
        """
        touched = self._view.touched(tx).get(entry.treasury, ())
        if meant.amount == entry.amount or not all(m.baselined for m in touched):
            return entry
        after = _as_meant(entry, meant)
        held = entry.state is State.HELD
        after = replace(after, pending=meant.amount) if held else replace(after, confirmed=meant.amount)
        self._put(after := self._reread(entry, after, meant))
        return after

    def _tell(
        self,
        event_type: str,
        sighting: Sighting,
        before: Entry,
        after: Entry,
        meant: Meaning,
        block: BlockRef | None = None,
    ) -> Entry:
        confirmations = 0 if block is None else self._confirmations(block)
        unknown_before = before.stated is None and before.correction is None and not before.baselined
        late = block is not None and (
            block.height <= self._seen.caught_up_from or (unknown_before and confirmations > 1)
        )
        told = self.journal.transaction(
            event_type,
            before,
            after,
            meant,
            trust=sighting.trust,
            sources=sighting.sources,
            block=block,
            block_time=sighting.block_time,
            confirmations=confirmations,
            detected_late=late,
            supersedes=before.stated if event_type == "tx.moved" else before.correction,
        )
        self._put(told)
        return told

    # -- climbing ----------------------------------------------------------------------------------

    def climb(self) -> None:
        """Rungs reached since they were last judged; finality is an event, the others are notices."""
        for (_, txid), entry in list(self._entries.items()):
            if entry.state is State.HELD and entry.level < 0:
                self._reach(entry, 0)
            elif entry.state is State.CONFIRMED and not entry.baselined:
                confirmed, block_time, trust, sources = self._proof(txid)
                if confirmed is None:
                    continue  # displaced, and not yet read where to
                confirmations = self._confirmations(confirmed.block)
                if confirmations >= self._terms.finality and not entry.final:
                    meant = self._meaning(self._view.transaction(txid), entry.treasury, {})
                    entry = self._restated(entry, meant)  # noqa: PLW2901 - the entry as it is now
                    told = self.journal.transaction(
                        "tx.final",
                        entry,
                        replace(entry, final=True),
                        meant,
                        trust=trust,
                        sources=sources,
                        block=confirmed.block,
                        block_time=block_time,
                        confirmations=confirmations,
                        detected_late=confirmed.block.height + self._terms.finality - 1
                        <= self._seen.caught_up_from,
                    )
                    entry = told  # noqa: PLW2901 - the entry as it is now
                self._reach(entry, min(confirmations, self._terms.finality))

    def _reach(self, entry: Entry, level: int) -> None:
        if level <= entry.level:
            self._put(entry)
            return
        after = replace(entry, level=level)
        self._put(after)
        self.climbs.append(Climb(after, entry.level))

    def _proof(self, txid: Txid) -> tuple[Confirmed | None, int | None, Trust, tuple[str, ...]]:
        sighting = self._seen.sightings.get(txid)
        if sighting is not None and isinstance(sighting.position, Confirmed):
            return sighting.position, sighting.block_time, sighting.trust, sighting.sources
        known = self._known.transactions[txid]
        return known.settled, known.block_time, known.trust, known.sources

    # -- shared ------------------------------------------------------------------------------------

    def _of(self, txid: Txid) -> list[Entry]:
        known = self._known.transactions.get(txid)
        names = known.entries if known is not None else {}
        return [self._entries[name, txid] for name in sorted(names)]

    def _present(self, treasury: str, txid: Txid) -> Entry | None:
        """The treasury's entry, if it has one and has not left."""
        entry = self._entries.get((treasury, txid))
        return None if entry is None or entry.state is State.LEFT else entry

    def _put(self, entry: Entry) -> None:
        self._entries[entry.treasury, entry.txid] = entry

    def _meaning(self, tx: Transaction, treasury: str, parents: Mapping[Outpoint, TxOutput]) -> Meaning:
        for script in self._view.spent_scripts(tx):
            self._first_spends.setdefault(script, tx.txid)
        meant = meaning(tx, treasury, self._view.members, self._view.coins, parents, self._first_spends)
        entry = self._entries.get((treasury, tx.txid))
        if meant.fee is None and entry is not None:
            return replace(meant, fee=entry.fee)  # known since its parents were at hand
        return meant

    def _new(self, sighting: Sighting, treasury: str, meant: Meaning, state: State) -> Entry:
        left = self._entries.get((treasury, sighting.tx.txid))
        return Entry(
            treasury=treasury,
            txid=sighting.tx.txid,
            state=state,
            flow=meant.flow,
            amount=meant.amount,
            moved=meant.moved,
            fee=meant.fee,
            mixed=meant.mixed,
            incident=self._story(sighting.tx, treasury),
            correction=None if left is None else left.correction,
        )

    def _restated(self, entry: Entry, meant: Meaning) -> Entry:
        """The entry with what it means now; where people were told another flow, that is corrected first.

        The list may have changed, and the new watch's baseline be still to come.
        """
        after = _as_meant(entry, meant)
        known = entry.txid in self._known.transactions
        if not known or entry.stated is None or entry.flow is meant.flow:
            return after
        return self._reread(entry, after, meant)

    def _reread(self, entry: Entry, after: Entry, meant: Meaning) -> Entry:
        known = self._known.transactions[entry.txid]
        return self.journal.transaction(
            "tx.reclassified",
            entry,
            after,
            meant,
            trust=known.trust,
            sources=known.sources,
            block=None if known.settled is None else known.settled.block,
            block_time=known.block_time,
            confirmations=0 if known.settled is None else self._confirmations(known.settled.block),
            supersedes=entry.stated,
        )

    def _story(self, tx: Transaction, treasury: str) -> str:
        """A rival joins the story it meets; else a story begins."""
        for rival in self._view.rivals(tx):
            met = self._entries.get((treasury, rival))
            if met is not None:
                return met.incident
        return transaction_incident(self._terms.network, treasury, tx.txid)

    def _incident_of_parent(self, tx: Transaction, treasury: str) -> str | None:
        """The story of a parent that fell before its child."""
        for spent in tx.inputs:
            parent = self._entries.get((treasury, spent.outpoint.txid))
            if parent is not None and parent.state in _FALLS:
                return parent.incident
        return None

    def _is_silent(self, entry: Entry, tx: Transaction) -> bool:
        """Not yet told by anyone: it waits for its baseline, which counts what is then."""
        return entry.baselined and all(
            not m.baselined for m in self._view.touched(tx).get(entry.treasury, ())
        )

    def _confirmations(self, block: BlockRef) -> int:
        return self._seen.tip.height - block.height + 1


def _as_meant(entry: Entry, meant: Meaning) -> Entry:
    return replace(
        entry, flow=meant.flow, amount=meant.amount, moved=meant.moved, fee=meant.fee, mixed=meant.mixed
    )
