"""Takes down what sources have read to us: what of it is a fact now, committed, each thing once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from watcher.bitcoin.types import Confirmed, Txid
from watcher.core.observation import Observation, Trust
from watcher.ledger import knowledge, unproven
from watcher.observe.facts import Facts
from watcher.observe.testimony import NOBODYS
from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from watcher.bitcoin.types import BlockRef
    from watcher.core.events import Event
    from watcher.core.observation import ChainChange
    from watcher.ledger.commit import Committed
    from watcher.observe.attendant import Attendant
    from watcher.observe.doorbell import Doorbells
    from watcher.observe.hearing import Hearing
    from watcher.observe.jury import Jury
    from watcher.observe.watch import Watch


@dataclass(frozen=True, slots=True)
class Moment:
    """When a reading began: what was read on a branch that has left our chain since is worth nothing.

    A history read then need not have what came in a block above `tip`.
    """

    reorganizations: int
    tip: BlockRef


class Scribe:
    """For a watch, which lets one thing be taken down at a time.

    `commit` folds an observation into the ledger.
    """

    def __init__(
        self,
        watch: Watch,
        hearing: Hearing,
        jury: Jury,
        doorbells: Doorbells,
        commit: Callable[[Observation], Awaitable[Committed]],
        detected: Callable[[float], None],
    ) -> None:
        self._watch = watch
        self._hearing = hearing
        self._jury = jury
        self._doorbells = doorbells
        self._commit = commit
        self._detected = detected

    async def take_down(self, attendant: Attendant, facts: Facts, moment: Moment, rung: float | None) -> None:
        """What a source has read to us; raises `Misbehaved` where its own words convict it."""
        watch = self._watch
        heard = await self.heard(attendant, facts, moment.tip)
        strangers: tuple[Txid, ...] = ()
        if heard.sightings or heard.readings or heard.pieces:
            strangers = await self.tell(heard, rung=rung)
        attendant.heard(facts)
        watch.first_reading.is_told({s: heard.readings[s] for s in facts.vouched if s in heard.readings})
        for txid in strangers:
            if txid in facts.sightings:
                raise Misbehaved("history", f"{txid} is not on the script it was given for")
        if attendant.source.announces:  # else nothing rings for what came between a status and its history
            attendant.said.judge(facts)
        height = moment.tip.height if attendant.fork is None else attendant.fork.block.height
        await watch.worth.hold_against_the_ledger(attendant, facts, height)

    async def heard(self, attendant: Attendant, facts: Facts, tip: BlockRef) -> Facts:
        """What of it is a fact now, with what others have said before."""
        listing, quorum = self._watch.listing, self._watch.quorum
        readings = self._hearing.readings(attendant.name, facts, tip, listing, quorum)
        sightings = await self._jury.facts(attendant.name, facts, readings, listing.treasuries.keys())
        return Facts(readings, sightings, pieces=facts.pieces)

    async def tell(
        self, facts: Facts, change: ChainChange | None = None, *, rung: float | None = None
    ) -> tuple[Txid, ...]:
        """Commit what was found; what of it has nothing to do with the scripts it was found on."""
        watch, listing = self._watch, self._watch.listing
        # what is no fact yet is held in memory alone: after a restart its script is read, whatever its status
        waiting = {
            s: replace(facts.readings[s], status=NOBODYS) for s in self._jury.waits_on & facts.readings.keys()
        }
        committed = await self._commit(
            Observation(
                at_ms=watch.now_ms(),
                tip=watch.chain.tip,
                chain=change,
                sightings=facts.sightings,
                readings={**facts.readings, **waiting},
                caught_up_from=watch.caught_up_from,
                pieces=facts.pieces,
            )
        )
        if not listing.is_anchored:  # a commit at a tip has anchored the list
            listing.past = await watch.ledger.run(unproven.past)
            listing.is_anchored = True
        if committed.events and rung is not None:
            self._detected(asyncio.get_running_loop().time() - rung)
        await self._ring_for_replaced(committed.events)
        for script, reading in facts.readings.items():
            listing.learn(script, reading.status)
        if new := len(listing.unread.intersection(facts.readings)):
            listing.unread.difference_update(facts.readings)
            listing.counted.difference_update(facts.readings)
            if not listing.unread:
                listing.unread, listing.counted = set(), set()  # a set that was large keeps its room
            watch.pace.did(new)
        sightings = facts.sightings.values()
        if any(isinstance(s.position, Confirmed) and s.trust is not Trust.PROVEN for s in sightings):
            watch.second_pass.begin()
        listing.unsettled = await watch.ledger.run(knowledge.unsettled_scripts)
        return committed.strangers

    async def _ring_for_replaced(self, events: Iterable[Event]) -> None:
        """What the book has just let go of for a rival may still be shown: then it waits for the rival's end.

        Rung, so that who reads its script at this very moment reads it once more: the source's status is the
        one that is known. Of a rival that pays none of ours nobody would learn the end.
        """
        fallen = {(e.txid, Txid(str(e.data["by"]))) for e in events if e.type == "tx.replaced" and e.txid}
        if not fallen:
            return
        txids = {txid for pair in fallen for txid in pair}
        lie_on = await self._watch.ledger.run(lambda c: knowledge.scripts_of(c, txids))
        scripts = {s for txid, rival in fallen if rival in lie_on for s in lie_on.get(txid, ())}
        for name in self._watch.attendants:
            for script in scripts & self._watch.listing.of(name):
                self._doorbells.script_rang(name, script)
