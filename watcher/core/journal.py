"""Writes events in order: sequence, id, incident, delta and running balance of each.

The delta of a transaction's event is the change of its entry's (confirmed, pending) and nothing else:
so the sum of all deltas is, for every prefix of the log, the sum over the book.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from watcher.core.events import ID_BREAKS, Data, Event, base, block_data, money_data, sums
from watcher.core.identity import log_event_id, transaction_event_id
from watcher.core.known import Balance

if TYPE_CHECKING:
    from watcher.bitcoin.types import BlockHash, BlockRef, Sats, Txid
    from watcher.core.known import Entry, Known
    from watcher.core.meaning import Meaning
    from watcher.core.observation import Trust


class Journal:
    """The end of the log, while one observation is being told."""

    def __init__(self, known: Known, at_ms: int) -> None:
        self._terms = known.terms
        self._at_ms = at_ms
        self._sequence = known.last_sequence
        self.balances = dict(known.balances)
        self.corrected = set(known.corrected)
        self.events: list[Event] = []

    def transaction(  # noqa: PLR0913 - one parameter a field of the event
        self,
        event_type: str,
        before: Entry,
        after: Entry,
        meaning: Meaning,
        *,
        trust: Trust,
        sources: tuple[str, ...],
        block: BlockRef | None = None,
        block_time: int | None = None,
        confirmations: int = 0,
        by: Txid | None = None,
        rival_block: BlockHash | None = None,
        reason: str | None = None,
        detected_late: bool = False,
        supersedes: str | None = None,
        critical: bool = False,
    ) -> Entry:
        """Tell `event_type` about a transaction; `after` comes back with the id noted in it."""
        network = self._terms.network
        event_id = transaction_event_id(
            network,
            event_type,
            after,
            block=None if block is None else block.hash,
            by=by,
            rival_block=rival_block,
        )
        delta = (after.confirmed - before.confirmed, after.pending - before.pending)
        data = self._begin(event_id, after.incident, after.treasury)
        data["txid"] = after.txid
        data["flow"] = str(after.flow)
        data |= money_data(meaning, network, self._at_ms)
        data |= sums(delta, self._add(after.treasury, delta))
        data["block"] = None if block is None else block_data(block, block_time)
        data["confirmations"] = confirmations
        data["trust"] = str(trust)
        data["sources"] = list(sources)
        data["detected_late"] = detected_late
        data["supersedes"] = supersedes
        if event_type in {"tx.replaced", "tx.conflicted"}:
            data["by"] = by
        if reason is not None:
            data["reason"] = reason
        breaks = event_type in ID_BREAKS
        takes_back = breaks and event_type != "tx.moved"
        event = Event(
            id=event_id,
            sequence=self._sequence,
            type=event_type,
            at_ms=self._at_ms,
            treasury=after.treasury,
            txid=after.txid,
            incident=after.incident,
            flow=after.flow,
            data=data,
            correction=takes_back
            or (event_type in {"tx.seen", "tx.confirmed"} and after.incident in self.corrected),
            critical=critical,
        )
        self.events.append(event)
        if takes_back:
            self.corrected.add(after.incident)
        if takes_back:
            # of what only a baseline had counted it is all that was stated
            return replace(after, stated=after.stated or event_id, correction=event_id)
        return replace(after, stated=event_id, correction=event_id if breaks else after.correction)

    def other(
        self,
        event_type: str,
        data: Data,
        *,
        treasury: str | None = None,
        incident: str | None = None,
        delta: tuple[Sats, Sats] | None = None,
        critical: bool = False,
    ) -> Event:
        """Tell an event that is not about a transaction; `delta` belongs to `watch.*` alone."""
        event_id = log_event_id(self._terms.log, self._sequence + 1)
        told = self._begin(event_id, incident, treasury) | data
        if delta is not None and treasury is not None:
            told |= sums(delta, self._add(treasury, delta))
        event = Event(
            id=event_id,
            sequence=self._sequence,
            type=event_type,
            at_ms=self._at_ms,
            treasury=treasury,
            txid=None,
            incident=incident,
            flow=None,
            data=told,
            critical=critical,
        )
        self.events.append(event)
        return event

    def baselined(self, treasury: str) -> None:
        """From here on the treasury's balance may be quoted."""
        self.balances[treasury] = replace(self.balances[treasury], baselined=True)

    def _begin(self, event_id: str, incident: str | None, treasury: str | None) -> Data:
        self._sequence += 1
        return base(
            event_id=event_id,
            log=self._terms.log,
            sequence=self._sequence,
            incident=incident,
            network=self._terms.network,
            treasury=treasury,
        )

    def _add(self, treasury: str, delta: tuple[Sats, Sats]) -> tuple[Sats, Sats] | None:
        old = self.balances[treasury]
        new = Balance(old.confirmed + delta[0], old.pending + delta[1], old.baselined)
        self.balances[treasury] = new
        return (new.confirmed, new.pending) if new.baselined else None
