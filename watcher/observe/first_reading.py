"""A script's first reading, shared out: each is read by one source, and others' words of it count."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.types import ScriptHash
from watcher.core.observation import Trust
from watcher.observe.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from watcher.core.observation import Reading
    from watcher.observe.attendant import Attendant
    from watcher.observe.listing import Listing
    from watcher.observe.quorum import Quorum

PATIENCE_SECONDS: Final = 10.0  # for those that connect more slowly; only a long past is kept waiting


class FirstReading:
    """`look_again` rings at sources that have something to read again, or nothing any more."""

    def __init__(
        self, attendants: Mapping[str, Attendant], look_again: Callable[[Iterable[str]], None]
    ) -> None:
        self._in_hand: dict[str, set[ScriptHash]] = {}  # scripts never read before, by who reads them now
        self._attendants = attendants
        self._look_again = look_again
        self._heard = asyncio.Event()

    def left_to_others(self, name: str) -> set[ScriptHash]:
        """What others have in hand, and this one need not read; it does not wait for one that is slower."""
        pace = self._seconds_each(name)
        others = (o for o in self._in_hand if o != name and self._seconds_each(o) <= pace)
        return set[ScriptHash]().union(*(self._in_hand[other] for other in others))

    def _seconds_each(self, name: str) -> float:
        return self._attendants[name].source.sweep_seconds(1)

    @contextmanager
    def taking(self, reader: str, scripts: Iterable[ScriptHash], listing: Listing) -> Iterator[None]:
        """Meanwhile other sources leave those of these that were never read to this one, if it is as fast."""
        taken = listing.unread.intersection(scripts)
        self._in_hand[reader] = taken
        try:
            yield
        finally:
            del self._in_hand[reader]
            read = taken - self._attendants[reader].dirty  # what it failed to read it tries again first
            others = (other for name, other in self._attendants.items() if name != reader)
            self._look_again(other.name for other in others if not read.isdisjoint(other.dirty))

    def past(self, reader: str, listing: Listing, quorum: Quorum) -> Past:
        """What the source may take up before it is proven."""
        return Past(
            height=listing.past,
            unread=listing.unread,
            counted=listing.counted,
            watched=listing.treasuries,
            vouchers=partial(self.vouchers, reader, listing, quorum),
            spoken=self._spoken,
        )

    def has_spoken(self) -> None:
        """A source has told every script's status."""
        self._heard.set()

    async def _spoken(self) -> None:
        """Until every source has told every status that it can be asked for now."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_SECONDS
        while not all(one.has_spoken for one in self._attendants.values()) and loop.time() < patience:
            self._heard.clear()
            with suppress(TimeoutError):  # a source that fails does not ring here
                async with asyncio.timeout(1.0):
                    await self._heard.wait()

    def vouchers(
        self, reader: str, listing: Listing, quorum: Quorum, script: ScriptHash, status: str | None
    ) -> tuple[str, ...]:
        """Who says the same of a script as the one that has just read it; nobody where that is not enough.

        One's own server needs nobody else. Of others all have to agree that are up and may be asked: where
        one differs, the proofs decide.
        """
        if quorum.witnesses[reader].trusted:
            return (reader,)
        among = listing.may_learn(quorum, {script})
        up = [name for name in among if self._attendants[name].is_up]
        if not all(name == reader or self._attendants[name].said.has_told(script, status) for name in up):
            return ()
        agreed = quorum.suffices(up, among) and quorum.trust(up) is Trust.CORROBORATED
        return tuple(sorted(up)) if agreed else ()

    def is_told(self, readings: Mapping[ScriptHash, Reading]) -> None:
        """These are known: who has said the same of one need not read it, and perhaps has nothing left."""
        spared: set[str] = set()
        for script, reading in readings.items():
            for other in self._attendants.values():
                if other.said.has_told(script, reading.status):
                    other.spare(script)
                    spared.add(other.name)
        self._look_again(spared)
