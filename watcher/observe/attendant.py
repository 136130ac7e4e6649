"""Attends to one source: answers its bell, follows its tip, reads at it what rang, hands on what it said."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from watcher.bitcoin.types import Confirmed
from watcher.ledger import knowledge
from watcher.observe.complete import Complete
from watcher.observe.heap import piling_up
from watcher.observe.said import Said
from watcher.observe.sweep import Sweep
from watcher.observe.tidings import SILENT, Tidings
from watcher.observe.triage import Triage
from watcher.sources.base import Misbehaved, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import BlockRef, ScriptHash
    from watcher.observe.doorbell import Bell, Doorbells, Rings
    from watcher.observe.facts import Facts
    from watcher.observe.follow import Fork
    from watcher.observe.scribe import Moment
    from watcher.observe.watch import Watch
    from watcher.sources.base import Source, SourceTip

REST_SECONDS: Final = 1.0  # after a failure, before the source is asked again
REST_MISBEHAVED_SECONDS: Final = 30.0


class Attendant:
    """One source's. A question that fails loses nothing: what was to be read stays in `dirty`.

    `dirty` are the scripts to be read at it, `too_busy` those it will never answer for, `said` is what it has
    told of them. `complete` is when it had last answered for every script of a treasury.
    """

    def __init__(self, source: Source, watch: Watch, doorbells: Doorbells) -> None:
        self.source = source
        self.name = source.name
        self.dirty: set[ScriptHash] = set()
        self.too_busy: set[ScriptHash] = set()
        self.said = Said()
        self.complete: dict[str, Complete] = {}
        self.rounds = 0
        self.idle = True  # waiting for the source to come up or to ring, and not for an answer
        self.rests = False  # after a failure
        self.fork: Fork | None = None  # where it leaves our chain, while it is on another branch
        self._tidings = Tidings(SILENT)
        self._blamed: str | None = None  # for what it was struck while it was not up
        self._watch = watch
        self._doorbells = doorbells
        self._sweep = Sweep(self, watch)
        self._triage = Triage()
        self._subscribed: AbstractSet[ScriptHash] = frozenset()
        self._tip: BlockRef | None = None
        self._looks_again: asyncio.TimerHandle | None = None
        self._asked = False  # all have had their turn, and what was found then is not yet read
        self._since: float | None = None  # the first ring for something that is not yet read
        self._proves_again: float | None = None  # when it may be asked for more branches

    @property
    def bell(self) -> Bell:
        """The source's bell."""
        return self._doorbells.bells[self.name]

    @property
    def is_up(self) -> bool:
        """Connected, and believed so far that it is asked."""
        return self.name in self._doorbells.up and not self._watch.conduct.quarantined_for(self.name)

    @property
    def bound(self) -> float:
        """Seconds after which a change that the source never announced has been found at it."""
        return max(self._watch.reread, self.source.sweep_seconds(len(self._subscribed)))

    def is_at(self, tip: BlockRef) -> bool:
        """Whether it can be heard soon: it is not at rest, and its tip was this one."""
        return not self.rests and self._tip == tip

    @property
    def has_spoken(self) -> bool:
        """Whether it has told the status of all its scripts, or cannot be asked for them now."""
        return self._sweep.has_asked_all or (not self.is_up and self.name in self._doorbells.errors)

    def is_to_tell(self, script: ScriptHash) -> bool:
        """Whether its word about the script comes anyway: with the statuses, or with what is dirty."""
        is_coming = not self._sweep.has_asked_all or script in self.dirty
        return is_coming and script not in self.said.read

    def spare(self, script: ScriptHash) -> None:
        """What it would say of the script is known by another's word: the statuses are the same."""
        self.dirty.discard(script)
        self.said.spare(script)

    def reorganized(self, fork: int) -> None:
        """A branch above this height left our chain: what was said before may have been said of it."""
        self.said.moved()
        self._sweep.reorganized(fork)

    def heard(self, facts: Facts) -> None:
        """What it has read to us is taken down."""
        self.dirty.difference_update(facts.readings)
        self.said.heard(facts, self._watch.listing)

    async def run(self) -> NoReturn:
        """Attend; never returns."""
        while True:
            await self._up()
            rest = 0.0  # it ended because the source is not asked any more
            try:
                await self._attend()
            except SourceError as error:
                rest = self._failed(error)
                # its frames hold what was read, and mostly the error: only the collector would free that
                error.__traceback__ = error.__context__ = None
            await self._rest(rest)

    def _failed(self, error: SourceError) -> float:
        """The source did not answer, or falsely; for how many seconds it is not asked then."""
        if isinstance(error, Misbehaved):
            self._watch.worth.struck(self, error)
            self._blamed = error.reason
            return REST_MISBEHAVED_SECONDS
        if self.name in self._doorbells.up:
            self._tidings.failed(self.name, error)
        return REST_SECONDS

    async def _up(self) -> None:
        """Until the source is connected and out of quarantine."""
        self.idle = True
        while not self.is_up:
            self._judge_absence()
            quarantine = self._watch.conduct.quarantined_for(self.name)
            await self._doorbells.changed(within=quarantine or None)
        self._blamed = None
        self.idle = False

    def _judge_absence(self) -> None:
        """What keeps it away may be a false answer, a certificate say: a strike, once for each reason."""
        why = self._doorbells.errors.get(self.name)
        if isinstance(why, Misbehaved) and why.reason != self._blamed:
            self._watch.worth.struck(self, why)
        self._blamed = why.reason if why is not None else None

    async def _rest(self, seconds: float) -> None:
        self.idle = self.rests = True
        await asyncio.sleep(seconds)
        self.rests = False

    async def _attend(self) -> None:
        """Take up everything at this source, then answer its bell; a `SourceError` ends it."""
        self.bell.forget()
        self.bell.ring(connected=True)
        self.said.moved()
        self._sweep.connected()
        self._since = self._proves_again = None
        self._watch.second_pass.forget(self.name)
        while True:
            self.idle = True
            rings = await self.bell.answered()
            self.idle = False
            if rings.gone is not None:
                raise rings.gone
            if not self.is_up:
                return
            await self._answer(rings)
            self._tidings.connected(self.name)
            self.rounds += 1

    async def _answer(self, rings: Rings) -> None:
        """Take up the list, follow the tip, ask for statuses, read a part; when nothing is left, prove."""
        if rings.connected:
            self._sweep.connected()  # or the list is new: what is on it has not been asked for
        await self._take_up_list()
        self.dirty |= rings.scripts & self._subscribed
        self.said.rang(rings.scripts)
        tip = await self._tip_for(rings)
        self._tip = tip.block
        self.fork = await self._watch.follow(self, tip, rings.since, catches_up=rings.connected)
        self.dirty |= self._watch.listing.unsettled & self._subscribed
        if rings.connected or rings.sweep:
            self.dirty |= self._watch.conduct.to_look_at_again(self.name) & self._subscribed
            # by its status it may have what the quorum waits for, and so what is known
            self.dirty |= self._watch.waited_on & self._subscribed
            if rings.connected:
                await self._sweep.ask_all(self._subscribed, tip.block.height, rings.since)
            else:
                await self._sweep.ask_next(tip.block.height, rings.since)
            self._asked = True
        if self.dirty and self._since is None:
            self._since = rings.since
        is_more = await self._read_dirty(rings.scripts)
        if self._asked and self._sweep.is_answered and not is_more:
            self._asked = not await self._now_complete() or bool(self.dirty)
        if not self.dirty:
            self.dirty = set()  # a set that was large keeps its room
            self._since = None
            await self._prove()
        elif is_more:
            self.bell.ring(tip=True)  # a part at a time, so that what rings meanwhile has its turn first
        else:
            await self._look_again(tip.block)

    async def _take_up_list(self) -> None:
        mine = await self._watch.list_of(self.name)
        if mine is self._subscribed:
            return
        gone = self._subscribed - mine
        if gone:
            await self.source.forget(sorted(gone))
            self._watch.conduct.forget(self.name, gone)
            self.said.forget(gone)
        self.dirty &= mine  # what is new is asked for, and read where it has a history
        self.too_busy &= mine
        self._subscribed = mine

    async def _tip_for(self, rings: Rings) -> SourceTip:
        """The source's tip, as it told it where only scripts rang: a history comes with the tip it is of."""
        told = self.source.told_tip
        if told is None or rings.tip or rings.connected or rings.sweep:
            return await self.source.tip()
        return told

    async def _read_dirty(self, rang: AbstractSet[ScriptHash]) -> bool:
        """Read a part of what is dirty, first what rang; whether more may be read at once."""
        watch, listing, shared = self._watch, self._watch.listing, self._watch.first_reading
        in_hand = shared.left_to_others(self.name)
        part = self._triage.part(self.dirty, rang, unread=listing.unread, in_hand=in_hand)
        if not part:
            return False
        moment = watch.moment
        pace = self.source.at_leisure() if listing.unread.issuperset(part) else nullcontext()
        with pace, piling_up(), shared.taking(self.name, part, listing):
            reader = watch.reader(self, partial(self._take, moment))
            facts = await reader.read(part, await self._past_of(part), watch.chain.tip.height)
            self.too_busy |= facts.too_busy
            self.dirty -= facts.too_busy
            await watch.hear(self, facts, moment, self._since)
        return facts.is_paused or self._triage.tried(part, self.dirty)

    async def _past_of(self, part: Sequence[ScriptHash]) -> int:
        """The height at and below which the parents of what these scripts have are not asked for.

        What a block brought while the source was away is no past, but told: a coin spent in it may be one of
        ours that the ledger does not have, on a script that is refused for the moment.
        """
        watch = self._watch
        if not watch.listing.unread:
            return min(watch.caught_up_from, watch.listing.past)
        return await watch.ledger.run(partial(knowledge.past_of, scripts=part, at_most=watch.caught_up_from))

    async def _take(self, moment: Moment, piece: Facts) -> bool:
        """A slice of a long history; an alarm has its turn before the next, and then it is read again.

        So the bell of a script that was never read or of a tip waits for the last slice, and the timer's does
        where alarms come by themselves. What is in no block is perhaps not in the ledger by then: with that
        there is no going on.
        """
        taken = await self._watch.hear(self, piece, moment, self._since)
        listing = self._watch.listing
        if not taken or not self.is_up or listing.of(self.name) is not self._subscribed:
            return False
        if self.bell.sweep_is_due and not self.source.announces:
            return False
        in_blocks = any(isinstance(s.position, Confirmed) for s in piece.sightings.values())
        return not in_blocks or listing.unread.issuperset(self.bell.scripts)

    async def _now_complete(self) -> bool:
        """Everything was asked for at least once since a while ago, and all of a treasury's is read.

        False where its tip is none of ours: a block came meanwhile, and the word is given when we have it.
        What is said on another branch is said of the block where it leaves ours.
        """
        tip, beside = (await self.source.tip()).block, None
        if self.bell.is_gone:  # connected anew, it does not announce what it was asked for before
            return False
        if self.fork is not None and self.fork.tip == tip:
            tip, beside = self.fork.block, self.fork.beside
        chain = self._watch.chain
        if not chain.has(tip):
            return False
        block = self._sweep.reached(chain, tip)
        if block is None:
            return False
        treasuries = self._watch.listing.treasuries_of(self._subscribed)
        left = self._watch.listing.treasuries_of(self.too_busy | self.dirty)
        word = Complete(block, self._sweep.since_ms, (self.name,), tip.height, beside)
        self.complete |= dict.fromkeys(treasuries - left, word)
        await self._watch.worth.now_complete(self)
        return True

    async def _prove(self) -> None:
        """A round of the second pass, and when the next may be."""
        time = asyncio.get_running_loop().time
        if self._proves_again is not None and time() < self._proves_again:
            return
        wait = await self._watch.prove(self)
        if wait is None:
            self._proves_again = None
        elif wait:
            self._proves_again = time() + wait
            asyncio.get_running_loop().call_later(wait, partial(self.bell.ring, tip=True))
        else:
            self.bell.ring(tip=True)

    async def _look_again(self, followed: BlockRef) -> None:
        """The tip moved while reading, or had not been told, or a transaction was gone meanwhile."""
        tip = (await self.source.tip()).block
        if tip not in {followed, self._watch.tip}:
            self.bell.ring(tip=True)
        elif tip == self._watch.tip:
            if self._looks_again is not None:
                self._looks_again.cancel()  # one is enough: each would set the next
            ring = partial(self.bell.ring, tip=True)
            self._looks_again = asyncio.get_running_loop().call_later(REST_SECONDS, ring)
