"""Asks a source for the statuses of its scripts: equal to what is known, there is nothing to fetch."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.types import BlockRef
from watcher.core.observation import Reading
from watcher.observe.facts import Facts
from watcher.observe.rotation import Rotation, pieces
from watcher.sources.base import Misbehaved, SourceError, TooBusy, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash
    from watcher.observe.attendant import Attendant
    from watcher.observe.our_chain import OurChain
    from watcher.observe.scribe import Moment
    from watcher.observe.watch import Watch

EMPTY_A_COMMIT: Final = 2_000  # scripts without a history, between two commits
A_PIECE: Final = 20_000  # scripts asked for before what was said of them is taken down, which goes on beside
STATUSES_A_TURN: Final = 2_000  # of the loop: a hundred thousand in one piece would hold it up for 100 ms
LATE_SECONDS: Final = 5.0  # until a script is asked for again that the source did not come to
_A_TURN: Final = 1e-4  # seconds; after `sleep(0)` one goes on before what has come meanwhile


class Sweep:
    """One source's, for its attendant: all scripts in one go, and from then on by turns.

    What is to be read for its status is added to the attendant's `dirty`, one that the source will not
    answer for to its `too_busy`; a script that is said to have no history is taken down at once. One that
    the source did not come to is asked for again before the others have their next turn.
    """

    def __init__(self, attendant: Attendant, watch: Watch) -> None:
        self.has_asked_all = False  # on this connection, and of this list
        self._attendant = attendant
        self._watch = watch
        self._rotation = Rotation((), 1, 0, -1)
        self._unasked: set[ScriptHash] = set()
        self._asks_again: asyncio.TimerHandle | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the source came to all that it was asked for last."""
        return not self._unasked

    @property
    def since_ms(self) -> int:
        """Since when everything has been asked for at least once."""
        return self._rotation.since_ms

    def reached(self, chain: OurChain, tip: BlockRef) -> BlockRef | None:
        """The block of which everything is known, the source's tip being this one; None where that is gone.

        Of a source that announces nothing, what it was asked for first is known of the block of then only.
        """
        if self._attendant.source.announces:
            return tip
        height = min(tip.height, self._rotation.since_height)
        known = chain.hash_at(height)
        return None if known is None else BlockRef(height, known)

    def connected(self) -> None:
        """The connection or the list is new: not all has been asked for yet."""
        self.has_asked_all = False

    def reorganized(self, fork: int) -> None:
        """What was asked for at a block above this height was asked of another chain."""
        self._rotation.reorganized(fork)

    async def ask_all(self, scripts: AbstractSet[ScriptHash], height: int, rung: float | None) -> None:
        """The list or the connection is new: ask for all of these, the source's tip being at this height."""
        now_ms = self._watch.now_ms()
        self._unasked.clear()
        turns = pieces(self._attendant.bound, self._watch.reread)
        self._rotation = Rotation(scripts, turns, now_ms, height)
        await asyncio.sleep(_A_TURN)  # the list was sorted, and is now made questions of
        # as the ledger has them, so that what is said of a piece lies together there
        in_order = [script for script in self._watch.listing.treasuries if script in scripts]
        await self._ask(in_order, rung, paced=False)

    async def ask_next(self, height: int, rung: float | None) -> None:
        """Ask for those whose turn it is, the source's tip being at this height."""
        now_ms = self._watch.now_ms()
        # first what has not had its turn: the others' turns begin when all have had one
        paced = self.is_answered
        scripts = sorted(self._unasked or self._rotation.turn(now_ms, height))
        self._unasked.clear()
        await self._ask(scripts, rung, paced=paced)

    async def _ask(self, scripts: list[ScriptHash], rung: float | None, *, paced: bool) -> None:
        """Piece by piece: while one is asked for, what was said of the one before is taken down.

        An explorer reads the whole list in an order of its own, so that each has its turn.
        """
        size = A_PIECE if self._attendant.source.announces else len(scripts)
        empty: set[ScriptHash] = set()
        said_at = self._watch.moment
        for piece in _parts(scripts, size) if scripts else []:
            moment = self._watch.moment
            # neither is broken off when the other fails: what is being committed is then known here too
            heard, asked = await asyncio.gather(
                self._hear_of_nothing(empty, said_at, rung),
                self._ask_for(piece, paced=paced),
                return_exceptions=True,
            )
            if isinstance(heard, BaseException):
                raise heard
            if isinstance(asked, BaseException):
                raise asked
            empty, said_at = asked, moment
        if self.is_answered:
            self.has_asked_all = True
            self._watch.first_reading.has_spoken()
        await self._hear_of_nothing(empty, said_at, rung)

    async def _ask_for(self, scripts: Sequence[ScriptHash], *, paced: bool) -> set[ScriptHash]:
        """Ask for a piece; those that have no history and were never read before."""
        attendant = self._attendant
        # turns are paced so that what they cost is forgiven until the next; all at once is not
        with nullcontext() if paced else attendant.source.at_leisure():
            statuses = await attendant.source.watch(scripts)
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
        attendant.too_busy = attendant.too_busy.difference(scripts) | busy
        if late:
            self._ask_again(max(seconds or LATE_SECONDS for seconds in late))
        return empty

    def _took(self, script: ScriptHash, status: str | SourceError | None) -> bool:
        """Note what is to be read for this status; True for a script without a history, never read before."""
        if isinstance(status, TooBusy):
            return False
        if isinstance(status, Misbehaved):
            raise status
        if isinstance(status, SourceError):
            self._unasked.add(script)  # it did not come to it: again in the next turn
            return False
        if not self._attendant.said.take(script, status, self._watch.listing):
            return False
        if status is None and script in self._watch.listing.unread:
            return True
        self._attendant.dirty.add(script)
        return False

    def _ask_again(self, seconds: float) -> None:
        """The source has limits, and will have room for more then."""
        if self._asks_again is not None:
            self._asks_again.cancel()
        ring = partial(self._attendant.bell.ring, sweep=True)
        self._asks_again = asyncio.get_running_loop().call_later(seconds, ring)

    async def _hear_of_nothing(
        self, scripts: AbstractSet[ScriptHash], moment: Moment, rung: float | None
    ) -> None:
        """Scripts whose status says that they have no history: there is nothing to ask for.

        Where the tip moved meanwhile it is not known of which block that was said, and they are read.
        """
        attendant = self._attendant
        attendant.dirty.update(scripts)
        if not scripts or not moment.tip == self._watch.tip == (await attendant.source.tip()).block:
            return
        # as the ledger has them: in another order each commit would write nearly every page of a long list
        in_order = [script for script in self._watch.listing.treasuries if script in scripts]
        for part in _parts(in_order, EMPTY_A_COMMIT):
            readings = {script: Reading(script, frozenset(), None) for script in part}
            await self._watch.hear(attendant, Facts(readings), moment, rung)


def _parts(scripts: Sequence[ScriptHash], size: int) -> list[Sequence[ScriptHash]]:
    return [scripts[i : i + size] for i in range(0, len(scripts), size)]
