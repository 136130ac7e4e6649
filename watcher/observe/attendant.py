"""Attends to one source: answers its bell, follows its tip, reads at it what rang, hands on what it said."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, NoReturn

from watcher.bitcoin.types import BlockRef, Confirmed
from watcher.core.observation import Reading
from watcher.observe.complete import Complete
from watcher.observe.facts import Facts
from watcher.observe.heap import piling_up
from watcher.observe.rotation import Rotation, pieces
from watcher.observe.said import Said
from watcher.observe.tidings import SILENT, Tidings
from watcher.sources.base import Misbehaved, SourceError, TooBusy, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash
    from watcher.observe.doorbell import Bell, Doorbells, Rings
    from watcher.observe.follow import Fork
    from watcher.observe.scribe import Moment
    from watcher.observe.watch import Watch
    from watcher.sources.base import Source, SourceTip

SCRIPTS_A_COMMIT: Final = 200  # histories read between two commits: progress shows, and little is lost
EMPTY_A_COMMIT: Final = 2_000  # scripts without a history, between two commits
STATUSES_A_TURN: Final = 2_000  # of the loop: a hundred thousand in one piece would hold it up for 100 ms
REST_SECONDS: Final = 1.0  # after a failure, before the source is asked again
REST_MISBEHAVED_SECONDS: Final = 30.0
LATE_SECONDS: Final = 5.0  # until a script is asked for again that the source did not come to
_A_TURN: Final = 1e-4  # seconds; after `sleep(0)` one goes on before what has come meanwhile


class Attendant:
    """One source's. A question that fails loses nothing: what was to be read stays in `dirty`.

    `complete` is when it had last answered for every script of a treasury.
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
        self._subscribed: frozenset[ScriptHash] = frozenset()
        self._rotation = Rotation((), 1, 0, -1)
        self._tip: BlockRef | None = None
        self._unasked: set[ScriptHash] = set()
        self._asks_again: asyncio.TimerHandle | None = None
        self._looks_again: asyncio.TimerHandle | None = None
        self._tried: set[ScriptHash] = set()  # and not read, since something was last left to be read
        self._has_asked_all = False  # on this connection
        self._asked = False  # all have had their turn, and what was found then is not yet read
        self._since: float | None = None  # the first ring for something that is not yet read
        self._pressed = False  # the last part was of scripts that were read before
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
        self._has_asked_all = False
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
        await self._take_up_list()
        self.dirty |= rings.scripts & self._subscribed
        self.said.rang(rings.scripts)
        tip = await self._tip_for(rings)
        self._tip = tip.block
        if rings.connected:
            self._watch.caught_up_from = max(self._watch.caught_up_from, tip.block.height)
        self.fork = await self._watch.follow(self, tip, rings.since)
        self.dirty |= self._subscribed.intersection(self._watch.listing.unsettled)
        if rings.connected or rings.sweep:
            self.dirty |= self._watch.conduct.to_look_at_again(self.name) & self._subscribed
            await self._ask(tip.block, rings.since, whole=rings.connected)
            self._asked = True
        if self.dirty and self._since is None:
            self._since = rings.since
        is_more = await self._read_dirty(rings.scripts)
        if self._asked and not self._unasked and not is_more:
            self._asked = not await self._now_complete() or bool(self.dirty)
        if not self.dirty:
            self.dirty = set()  # a set that was large keeps its room
            self._since = None
            await self._prove()
        elif is_more:
            self.bell.ring(tip=True)  # a part at a time, so that what rings meanwhile has its turn first
        else:
            await self._look_again(tip.block)

    async def _tip_for(self, rings: Rings) -> SourceTip:
        """The source's tip, as it told it where only scripts rang: a history comes with the tip it is of."""
        told = self.source.told_tip
        if told is None or rings.tip or rings.connected or rings.sweep:
            return await self.source.tip()
        return told

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

    async def _ask(self, tip: BlockRef, rung: float | None, *, whole: bool) -> None:
        """Ask for statuses: equal to what is known, there is nothing to fetch.

        On a new connection or a new list for all of them, else for those whose turn it is.
        """
        now_ms, height = self._watch.now_ms(), tip.height
        if whole:
            scripts = list(self._subscribed)
            self._unasked.clear()
            self._rotation = Rotation(scripts, pieces(self.bound, self._watch.reread), now_ms, height)
            await asyncio.sleep(_A_TURN)  # the list was sorted, and is now made questions of
        else:
            # first what has not had its turn: the others' turns begin when all have had one
            whole = bool(self._unasked)
            scripts = sorted(self._unasked or self._rotation.turn(now_ms, height))
            self._unasked.clear()
        moment = self._watch.moment
        # turns are paced so that what they cost is forgiven until the next; all at once is not
        with self.source.at_leisure() if whole else nullcontext():
            statuses = await self.source.watch(scripts) if scripts else {}
        empty: set[ScriptHash] = set()
        busy: set[ScriptHash] = set()
        late: list[float | None] = []
        for part in _parts(list(statuses), STATUSES_A_TURN):
            for script in part:
                status = statuses[script]
                if self._took(script, status):
                    empty.add(script)
                elif isinstance(status, TooBusy):
                    busy.add(script)
                elif isinstance(status, Unavailable):
                    late.append(status.retry_after)
            await asyncio.sleep(0)
        self.too_busy = (self.too_busy - set(scripts)) | busy
        if late:
            self._ask_again(max(seconds or LATE_SECONDS for seconds in late))
        if not self._unasked:
            self._has_asked_all = True
            self._watch.first_reading.has_spoken()
        await self._hear_of_nothing(empty, moment, rung)

    def _took(self, script: ScriptHash, status: str | SourceError | None) -> bool:
        """Note what is to be read for this status; True for a script without a history, never read before."""
        if isinstance(status, TooBusy):
            return False
        if isinstance(status, SourceError):
            self._unasked.add(script)  # it did not come to it: again in the next turn
            return False
        if not self.said.take(script, status, self._watch.listing):
            return False
        if status is None and script in self._watch.listing.unread:
            return True
        self.dirty.add(script)
        return False

    def _ask_again(self, seconds: float) -> None:
        """The source has limits, and will have room for more then."""
        if self._asks_again is not None:
            self._asks_again.cancel()
        ring = partial(self.bell.ring, sweep=True)
        self._asks_again = asyncio.get_running_loop().call_later(seconds, ring)

    async def _hear_of_nothing(
        self, scripts: AbstractSet[ScriptHash], moment: Moment, rung: float | None
    ) -> None:
        """Scripts whose status says that they have no history: there is nothing to ask for.

        Where the tip moved meanwhile it is not known of which block that was said, and they are read.
        """
        self.dirty.update(scripts)
        if not scripts or not moment.tip == self._watch.tip == (await self.source.tip()).block:
            return
        # as the ledger has them: in another order each commit would write nearly every page of a long list
        in_order = [script for script in self._watch.listing.treasuries if script in scripts]
        for part in _parts(in_order, EMPTY_A_COMMIT):
            readings = {script: Reading(script, frozenset(), None) for script in part}
            await self._watch.hear(self, Facts(readings), moment, rung)

    async def _read_dirty(self, rang: AbstractSet[ScriptHash]) -> bool:
        """Read a part of what is dirty, first what rang; whether more may be read at once.

        Never together are scripts that were read before, which come first, and others: an alarm waits
        neither for a long past nor for one that cannot be read.
        What another source has in hand for the first time is left to it: perhaps its word will do.
        """
        self._tried -= rang
        ready = self.dirty.difference(self._tried, self._watch.first_reading.in_hand)
        # what is unsettled is dirty again with each ring: of two parts one is the others'
        before = ready - self._watch.listing.unread
        now = ready - before if not before or (self._pressed and ready > before) else before
        self._pressed = now is before
        part = [*islice(now & rang, SCRIPTS_A_COMMIT)]
        part += islice((script for script in now if script not in rang), SCRIPTS_A_COMMIT - len(part))
        if not part:
            self._tried.clear()
            self._pressed = False
            return False
        moment = self._watch.moment
        first = self._watch.listing.unread.issuperset(part)
        pace = self.source.at_leisure() if first else nullcontext()

        async def take(piece: Facts) -> bool:
            """A slice of a long history; an alarm has its turn before the next, and then it is read again.

            So the bell of a script that was never read, of a tip or of the timer waits for the last slice.
            What is in no block is perhaps not in the ledger by then: with that there is no going on.
            """
            taken = await self._watch.hear(self, piece, moment, self._since)
            listing = self._watch.listing
            if not taken or not self.is_up or listing.of(self.name) is not self._subscribed:
                return False
            in_blocks = any(isinstance(s.position, Confirmed) for s in piece.sightings.values())
            return not in_blocks or listing.unread.issuperset(self.bell.scripts)

        with pace, piling_up(), self._watch.first_reading.taking(self.name, part, self._watch.listing):
            facts = await self._watch.reader(self, take).read(
                part, self._watch.caught_up_from, self._watch.chain.tip.height
            )
            self.too_busy |= facts.too_busy
            self.dirty -= facts.too_busy
            await self._watch.hear(self, facts, moment, self._since)
        if facts.is_paused:
            return True
        self._tried |= self.dirty.intersection(part)
        if len(ready) > len(part):
            return True
        self._tried.clear()
        self._pressed = False
        return False

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

    @property
    def has_spoken(self) -> bool:
        """Whether it has told the status of all its scripts, or cannot be asked for them now."""
        return self._has_asked_all or (not self.is_up and self.name in self._doorbells.errors)

    def spare(self, script: ScriptHash) -> None:
        """What it would say of the script is known by another's word: the statuses are the same."""
        self.dirty.discard(script)
        self.said.spare(script)

    def reorganized(self, fork: int) -> None:
        """A branch above this height left our chain: what was said before may have been said of it."""
        self.said.moved()
        self._rotation.reorganized(fork)

    def heard(self, facts: Facts) -> None:
        """What it has read to us is taken down."""
        self.dirty.difference_update(facts.readings)
        self.said.heard(facts, self._watch.listing)

    async def _now_complete(self) -> bool:
        """Everything was asked for at least once since a while ago, and all of a treasury's is read.

        False where its tip is none of ours: a block came meanwhile, and the word is given when we have it.
        What is said on another branch is said of the block where it leaves ours.
        """
        tip, beside = (await self.source.tip()).block, None
        if self.fork is not None and self.fork.tip == tip:
            tip, beside = self.fork.block, self.fork.beside
        chain = self._watch.chain
        if not chain.has(tip):
            return False
        block = tip
        if not self.source.announces:  # then what it was asked for first is known of that block only
            height = min(tip.height, self._rotation.since_height)
            known = chain.hash_at(height)
            if known is None:
                return False
            block = BlockRef(height, known)
        treasuries = self._watch.listing.treasuries_of(self._subscribed)
        left = self._watch.listing.treasuries_of(self.too_busy | self.dirty)
        word = Complete(block, self._rotation.since_ms, (self.name,), tip.height, beside)
        self.complete |= dict.fromkeys(treasuries - left, word)
        await self._watch.worth.now_complete(self)
        return True


def _parts(scripts: Sequence[ScriptHash], size: int) -> list[Sequence[ScriptHash]]:
    return [scripts[i : i + size] for i in range(0, len(scripts), size)]
