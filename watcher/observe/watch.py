"""The watching: what all sources together have shown is committed, each thing once.

Every source has an attendant of its own that reads at it. Here their words meet: our chain, the readings
that the quorum has given, and the unconfirmed transactions that are facts. One thing at a time is taken
down; what was read before a reorganisation and heard after it is thrown away and read again.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from watcher.core.observation import ChainChange, Observation
from watcher.ledger import chain as kept_chain
from watcher.ledger import knowledge, unproven
from watcher.observe.attendant import Attendant
from watcher.observe.complete import Complete
from watcher.observe.conduct import Conduct
from watcher.observe.facts import Facts
from watcher.observe.first_reading import FirstReading
from watcher.observe.follow import follow, trusted_start
from watcher.observe.hearing import Hearing
from watcher.observe.jury import Jury
from watcher.observe.listing import Listing, listing
from watcher.observe.our_chain import OurChain
from watcher.observe.pace import Pace
from watcher.observe.proving import Prover
from watcher.observe.reader import Reader
from watcher.observe.scribe import Moment, Scribe
from watcher.observe.second_pass import SecondPass
from watcher.observe.testimony import Testimonies
from watcher.observe.worth import Worth

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.networks import Params
    from watcher.bitcoin.types import BlockRef, ScriptHash, Txid
    from watcher.ledger.commit import Committed
    from watcher.observe.candidates import Candidate
    from watcher.observe.doorbell import Doorbells
    from watcher.observe.follow import Fork
    from watcher.observe.proving import Ledger
    from watcher.observe.quorum import Quorum
    from watcher.sources.base import Source, SourceTip

log = logging.getLogger(__name__)

HELD_IN_MEMORY: Final = 20_160  # headers: ten retarget periods, further back than any reorganisation


def _listing(connection: sqlite3.Connection, quorum: Quorum) -> Listing:
    made = listing(knowledge.watched(connection), unproven.past(connection), quorum)
    made.is_anchored = not knowledge.has_unanchored(connection)
    made.unsettled = knowledge.unsettled_scripts(connection)
    return made


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


class Watch:
    """Watches every script on the ledger's list; `commit` folds an observation into the ledger.

    `quorum` gives the one in force, asked again whenever the list has changed; `reread` is how many
    seconds pass between two sweeps.
    """

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        *,
        params: Params,
        sources: Sequence[Source],
        quorum: Callable[[], Quorum],
        reread: float,
        doorbells: Doorbells,
        ledger: Ledger,
        commit: Callable[[Observation], Awaitable[Committed]],
        now_ms: Callable[[], int],
        detected: Callable[[float], None],
    ) -> None:
        self.params = params
        self.quorum = quorum()
        self.ledger = ledger
        self.now_ms = now_ms
        self.reread = reread
        # half of it: a second look is in the next sweep, which may come a little sooner than the last one
        self.conduct = Conduct(_monotonic, reread / 2)
        self.attendants = {source.name: Attendant(source, self, doorbells) for source in sources}
        self.listing = Listing()
        self.complete: dict[str, Complete] = {}
        self.caught_up_from = -1
        self._quorum_in_force = quorum
        self._doorbells = doorbells
        self._chain: OurChain | None = None
        self._reorganizations = 0
        self._relisted = False
        self._has_tip = False  # our chain was at a source's tip, in this life or an earlier one
        self._testimonies = Testimonies()
        self._jury = Jury(
            lambda: self.quorum, ledger, lambda scripts: self.listing.may_learn(self.quorum, scripts)
        )
        self._turn = asyncio.Lock()
        self.first_reading = FirstReading(self.attendants, doorbells.look_again)
        hearing = Hearing(self.attendants, self._testimonies, self.first_reading, doorbells.script_rang)
        self._scribe = Scribe(self, hearing, self._jury, doorbells, commit, detected)
        self.worth = Worth(self, doorbells, self._testimonies, self._jury)
        self.second_pass = SecondPass(ledger, _monotonic)
        self.pace = Pace(_monotonic)  # of the first reading, in scripts

    # -- what others look at -------------------------------------------------------------------------

    @property
    def chain(self) -> OurChain:
        """Our chain, once there is one."""
        assert self._chain is not None
        return self._chain

    @property
    def tip(self) -> BlockRef | None:
        """Our chain's tip, once there is one."""
        return None if self._chain is None else self._chain.tip

    @property
    def moment(self) -> Moment:
        """Now, for a reading that begins."""
        return Moment(self._reorganizations, self.chain.tip)

    @property
    def waiting(self) -> int:
        """How many scripts wait to be read at some source."""
        return len(set().union(*(attendant.dirty for attendant in self.attendants.values())))

    @property
    def rounds(self) -> int:
        """How often a bell was answered."""
        return sum(attendant.rounds for attendant in self.attendants.values())

    @property
    def idle(self) -> bool:
        """Everybody waits for a source or for a ring, and nobody for an answer."""
        return all(attendant.idle for attendant in self.attendants.values())

    def fresh_sources(self) -> tuple[str, ...]:
        """Sources that are up, believed, and at our tip or a block behind."""
        return tuple(
            name
            for name, attendant in self.attendants.items()
            if attendant.is_up and any(word.is_near(self.chain.tip) for word in attendant.complete.values())
        )

    def bound_seconds(self, treasury: str) -> float:
        """How long a change that nobody announces may stay unknown, while all sources answer."""
        bounds = (self.attendants[name].bound for name in self.quorum.may_learn(treasury))
        return max(bounds, default=self.reread)

    def told(self, source: str, scripts: Iterable[ScriptHash]) -> dict[ScriptHash, frozenset[Txid]]:
        """What the source has told of those of these scripts on which not all have said the same."""
        return self._testimonies.of(source, scripts)

    @property
    def candidates(self) -> Sequence[Candidate]:
        """Unconfirmed transactions that too few have shown to be facts, the oldest first."""
        return self._jury.waiting

    @property
    def waited_on(self) -> AbstractSet[ScriptHash]:
        """The scripts in whose histories one of these is."""
        return self._jury.waits_on

    def unproven(self, treasury: str) -> int:
        """How many of its transactions wait for their branch."""
        return self.second_pass.waiting.get(treasury, 0)

    def seconds_left(self, treasury: str) -> float | None:
        """How long the first reading will take still, and its second pass; None where nobody can tell."""
        if any(self.listing.treasuries.get(script) == treasury for script in self.listing.unread):
            return self.pace.seconds_for(len(self.listing.unread))
        if self.unproven(treasury):
            return self.second_pass.pace.seconds_for(sum(self.second_pass.waiting.values()))
        return None

    def quarantined(self) -> tuple[str, ...]:
        """Sources that are not asked for what they did."""
        return tuple(name for name in self.attendants if self.conduct.quarantined_for(name))

    def quarantined_until_ms(self, source: str) -> int | None:
        """Until when the source is not asked; None where it is."""
        seconds = self.conduct.quarantined_for(source)
        return self.now_ms() + int(seconds * 1000) if seconds else None

    def unsupported(self) -> dict[str, int]:
        """How many scripts of each treasury some source that is asked will not answer for."""
        return self.listing.counts(set().union(*(a.too_busy for a in self.attendants.values())))

    def is_empty(self, treasury: str) -> bool:
        """Whether nothing of the treasury is on the list now: its memberships have ended or not begun.

        Before there is a tip, nobody knows which have begun.
        """
        return self._has_tip and treasury not in self.listing.names

    def release(self, source: str) -> bool:
        """End a source's quarantine; False where it was in none."""
        released = self.conduct.release(source)
        self._doorbells.stir()
        return released

    # -- the list ------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take up the watch list and our chain as the ledger has them."""
        self._relisted = False  # first: what changes meanwhile is taken up by another load
        quorum = self._quorum_in_force()
        # made over there: a list of a hundred thousand would hold the loop up for 50 ms
        made = await self.ledger.run(partial(_listing, quorum=quorum))
        before, self.listing, self.quorum = self.listing, made, quorum
        self._testimonies.forget(before.treasuries.keys() - self.listing.treasuries.keys())
        unread = self.listing.treasuries_of(self.listing.unread)
        for words in (self.complete, *(attendant.complete for attendant in self.attendants.values())):
            for name in words.keys() - self.listing.names:
                del words[name]  # should it begin again, it will not have been read since
        self.complete = {name: complete for name, complete in self.complete.items() if name not in unread}
        for name, block, at_ms, names in await self.ledger.run(knowledge.complete):
            if name not in unread and name not in self.complete:
                self.complete[name] = Complete(block, at_ms, names, block.height)
        held = (
            []
            if self._chain is not None
            else await self.ledger.run(lambda c: kept_chain.recent(c, HELD_IN_MEMORY))
        )
        if held:
            self._chain = OurChain(self.params, held[0][0], [raw for _, raw in held])
            self._has_tip = True

    def relist(self, names: frozenset[str]) -> None:
        """The ledger's watch list has changed: take it up before anything else is looked at.

        `names` are the treasuries that have anything on it, which is so with no source to be asked either.
        """
        self.listing.names = names
        self._relisted = True
        self._doorbells.relisted()

    async def list_of(self, source: str) -> AbstractSet[ScriptHash]:
        """The scripts that the source may be asked for."""
        async with self._turn:
            if self._relisted:
                await self.load()
            return self.listing.of(source)

    # -- watching ------------------------------------------------------------------------------------

    async def run(self) -> NoReturn:
        """Watch; never returns."""
        async with asyncio.TaskGroup() as group:
            for name, attendant in self.attendants.items():
                group.create_task(attendant.run(), name=f"attendant {name}")
            await asyncio.get_running_loop().create_future()
        raise AssertionError("attendants never return")

    async def follow(
        self, attendant: Attendant, tip: SourceTip, rung: float | None, *, catches_up: bool
    ) -> Fork | None:
        """Bring our chain to the source's tip, where that is heavier; where the two part, if they do.

        One that `catches_up` was not listened to before: what its blocks brought is told late.
        """
        source = attendant.source
        if self._chain is None:
            start, raws = await trusted_start(self.params, source)
            async with self._turn:
                if self._chain is None:
                    await self.ledger.run(lambda c: kept_chain.keep(c, start, raws))
                    self._chain = OurChain(self.params, start, raws)
        while isinstance(change := await follow(self.chain, source, tip), ChainChange):
            async with self._turn:
                if change.old_tip == self.chain.tip:  # else another source was faster: look again
                    if catches_up:
                        self._caught_up(change.new_tip.height)
                    elif change.depth:  # what is on the new branch was heard of as it came
                        self.caught_up_from = min(self.caught_up_from, change.fork.height)
                    await self._change(attendant, change, tip, rung)
        self._has_tip = True
        if catches_up:  # whatever height it told, no further than our chain, which is proven
            self._caught_up(min(tip.block.height, self.chain.tip.height))
        if not self.listing.is_anchored:
            async with self._turn:
                await self._scribe.tell(Facts())  # the tip is known: what is new on the list begins here
        return change

    def _caught_up(self, height: int) -> None:
        self.caught_up_from = max(self.caught_up_from, height)

    async def _change(
        self, attendant: Attendant, change: ChainChange, tip: SourceTip, rung: float | None
    ) -> None:
        if change.depth == 0 and change.new_tip != tip.block:
            await self.ledger.run(lambda c: kept_chain.advance(c, change))  # on the way; the end tells
            self.chain.adopt(change)
            return
        if change.depth == 0:
            self.chain.adopt(change)
            await self._scribe.tell(Facts(), change, rung=rung)
            return
        log.warning("reorganisation: depth %d, above block %d", change.depth, change.fork.height)
        fork = change.fork.height
        touched = await self.ledger.run(lambda c: knowledge.scripts_above(c, fork))
        self._reorganizations += 1
        self.chain.adopt(change)
        for name, other in self.attendants.items():
            other.reorganized(fork)
            other.dirty |= touched & self.listing.of(name)
        for script, name in self._testimonies.outdated(self.chain.may_have):
            self.attendants[name].dirty.add(script)
        facts, heard = Facts(), Facts()
        try:
            # what was never read is read in slices, and not while everybody waits
            mine = (touched & self.listing.of(attendant.name)) - self.listing.unread
            facts = await self.reader(attendant).read(mine, min(fork, self.listing.past), fork)
            heard = await self._scribe.heard(attendant, facts, self.chain.tip)
        finally:
            await self._scribe.tell(
                heard, change, rung=rung
            )  # what could not be read stays displaced until it is
        attendant.heard(facts)
        self._doorbells.look_again(name for name in self.attendants if name != attendant.name)

    def reader(self, attendant: Attendant, take: Callable[[Facts], Awaitable[bool]] | None = None) -> Reader:
        """Reads at the attendant's source; `take` commits a slice of what is long."""
        return Reader(
            source=attendant.source,
            chain=self.chain,
            fork=attendant.fork,
            prover=Prover(self.params, self.chain, self.ledger),
            ledger=self.ledger,
            watched=self.listing.of(attendant.name),
            too_busy=attendant.too_busy,
            past=self.first_reading.past(attendant.name, self.listing, self.quorum),
            take=take,
        )

    async def prove(self, attendant: Attendant) -> float | None:
        """A round of the second pass at a source; the seconds until the next, None without one."""
        moment = self.moment
        prover = Prover(self.params, self.chain, self.ledger)
        treasuries = self.listing.treasuries_of(self.listing.of(attendant.name))
        proven, wait = await self.second_pass.round(attendant.source, prover, treasuries)
        if proven:
            await self.hear(attendant, Facts(sightings=proven), moment, None)
        return wait

    async def hear(self, attendant: Attendant, facts: Facts, moment: Moment, rung: float | None) -> bool:
        """Take down what a source has read to us; raises `Misbehaved` where its own words convict it.

        False where it was read in vain: it is of a chain or of a list that is ours no more.
        """
        async with self._turn:
            if moment.reorganizations != self._reorganizations or self._relisted:
                return False  # it stays to be read
            await self._scribe.take_down(attendant, facts, moment, rung)
        return True
