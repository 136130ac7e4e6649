"""The watching with its ledger, in this process, on any sources."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.stack.processes import until
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.scripts import scripthash
from watcher.core.known import Terms
from watcher.core.rules import Policy
from watcher.ledger.commit import Settings, commit
from watcher.ledger.opening import create_or_open
from watcher.ledger.queries import log_id
from watcher.ledger.watches import Listed, TreasuryList, sync
from watcher.ledger.writer import Writer
from watcher.observe.doorbell import Doorbells
from watcher.observe.quorum import Quorum, Witness
from watcher.observe.watch import Watch
from watcher.sources.backoff import Backoff
from watcher.sources.electrum import ElectrumSource

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from pathlib import Path

    from tests.toy.electrum import ToyElectrum
    from tests.toy.toxic import Toxic
    from watcher.core.events import Event
    from watcher.core.observation import Observation
    from watcher.ledger.commit import Committed
    from watcher.sources.base import Source

TREASURY = "alpha"
FINALITY = 6
REREAD = 0.02
QUICK = Backoff(floor=0.01, first=0.02, cap=0.05)


@dataclass
class Pool:
    """A watch that runs, and what it has told so far."""

    watch: Watch
    doorbells: Doorbells
    writer: Writer
    connection: sqlite3.Connection  # the writer's
    terms: Terms
    events: list[Event] = field(default_factory=list)

    def told(self, kind: str) -> list[Event]:
        """The events of a type."""
        return [event for event in self.events if event.type == kind]

    @property
    def balance(self) -> tuple[int, int]:
        """Confirmed and pending: the sum of all that was told."""
        deltas = [event.data["delta_sats"] for event in self.events if "delta_sats" in event.data]
        sums = {"confirmed": 0, "pending": 0}
        for delta in deltas:
            assert isinstance(delta, dict)
            for position, sats in delta.items():
                sums[position] += sats
        return sums["confirmed"], sums["pending"]

    async def relisted(self, by_treasury: Mapping[str, Sequence[bytes]]) -> None:
        """These are the treasuries and their scripts from now on."""
        await self.writer.run(lambda c: sync(c, self.terms, _lists(by_treasury), 0))
        self.watch.relist(frozenset(by_treasury))

    async def baselined(self) -> None:
        """Until the treasury was read in full, and nothing is left of anybody's first reading.

        The quorum may be there before the last source has said its word: what changes then would be news
        to that one by another way than the test is about.
        """
        await self.happens(lambda: bool(self.told("watch.baselined")), "the baseline")
        await self.happens(lambda: TREASURY in self.watch.complete, "the first complete reading")
        attendants = self.watch.attendants.values()
        await self.happens(lambda: all(a.rounds and not a.dirty for a in attendants), "everybody's word")

    async def happens(self, ask: Callable[[], bool], what: str, within: float = 90) -> None:
        """Until it is so."""

        async def asked() -> bool:
            return ask()

        await until(asked, within=within, what=what)

    async def happens_by_sweeping(self, ask: Callable[[], bool], what: str) -> None:
        """Until it is so, everything being asked again and again."""

        async def asked() -> bool:
            await self.sweep()
            return ask()

        await until(asked, within=90, what=what)

    async def sweep(self, names: Collection[str] | None = None) -> None:
        """Everything is asked again, and every source that is asked has answered."""
        attendants = [a for n, a in self.watch.attendants.items() if names is None or n in names]
        # a round under way may have asked before now
        before = {a.name: a.rounds + (not a.idle) for a in attendants}
        self.doorbells.sweep()
        await self.happens(
            lambda: all(a.rounds > before[a.name] or a.rests or not a.is_up for a in attendants),
            "the end of a sweep",
        )


def _lists(by_treasury: Mapping[str, Sequence[bytes]]) -> list[TreasuryList]:
    return [
        TreasuryList(
            name, name, "own", [Listed(scripthash(s), s, None, None, None, None, None) for s in some]
        )
        for name, some in by_treasury.items()
    ]


def electrum(servers: Mapping[str, ToyElectrum | Toxic]) -> list[ElectrumSource]:
    """A source for each server."""
    return [
        ElectrumSource(name, server.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, backoff=QUICK)
        for name, server in servers.items()
    ]


@asynccontextmanager
async def pool(
    state: Path,
    sources: Sequence[Source],
    scripts: Sequence[bytes] | Mapping[str, Sequence[bytes]],
    *,
    wanted: int = 2,
    trusted: Collection[str] = (),
    operators: Mapping[str, str] | None = None,
    learns: Mapping[str, Collection[str]] | None = None,
    dropped_after_ms: int = 0,
) -> AsyncIterator[Pool]:
    """All of it runs while the context lasts; `operators` says who runs a source, else each its own.

    `scripts` are of one treasury, or by treasury; `learns` says which of these a source may, else it may all.
    """
    by_treasury = scripts if isinstance(scripts, Mapping) else {TREASURY: scripts}
    connection = create_or_open(state, Network.REGTEST, 0)
    writer = Writer(connection)
    try:
        settings = Settings(
            Terms(Network.REGTEST, await writer.run(log_id), FINALITY, dropped_after_ms),
            Policy((), FINALITY, {}),
            "",
        )
        await writer.run(lambda c: sync(c, settings.terms, _lists(by_treasury), 0))
        names = tuple(source.name for source in sources)
        doorbells = Doorbells(names)
        witnesses = [
            Witness(
                name,
                (operators or {}).get(name, name),
                name in trusted,
                frozenset((learns or {}).get(name, by_treasury)),
            )
            for name in names
        ]

        async def committed(seen: Observation) -> Committed:
            result = await writer.run(lambda c: commit(c, settings, seen))
            here.events += result.events
            return result

        watch = Watch(
            params=PARAMS[Network.REGTEST],
            sources=sources,
            quorum=lambda: Quorum(witnesses, wanted),
            reread=REREAD,
            doorbells=doorbells,
            ledger=writer,
            commit=committed,
            now_ms=lambda: time.time_ns() // 1_000_000,
            detected=lambda _seconds: None,
        )
        here = Pool(watch, doorbells, writer, connection, settings.terms)
        await watch.load()
        tasks = [asyncio.create_task(source.run(doorbells)) for source in sources]
        tasks.append(asyncio.create_task(watch.run()))
        try:
            yield here
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results
    finally:
        await writer.close()
