"""A doorbell that writes down who rang, and a condition to wait for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Source, SourceError

DEADLINE: Final = 60.0


class Bells:
    """What rang, in order, and when, by the event loop's clock; scripts also apart."""

    def __init__(self) -> None:
        self.sources: set[str] = set()
        self.log: list[str] = []
        self.times: list[float] = []
        self.scripts: list[ScriptHash] = []
        self.ends: list[SourceError] = []
        self._rang = asyncio.Event()

    def script_rang(self, source: str, scripthash: ScriptHash) -> None:
        self.scripts.append(scripthash)
        self._note(source, "script")

    def tip_rang(self, source: str) -> None:
        self._note(source, "tip")

    def connected(self, source: str) -> None:
        self._note(source, "connected")

    def disconnected(self, source: str, why: SourceError) -> None:
        self.ends.append(why)
        self._note(source, "disconnected")

    def count(self, kind: str) -> int:
        """How often this kind rang."""
        return self.log.count(kind)

    async def until(self, condition: Callable[[], bool], *, within: float = DEADLINE) -> None:
        """Return once the condition holds; it is looked at whenever something rang."""
        async with asyncio.timeout(within):
            while not condition():
                self._rang.clear()
                await self._rang.wait()

    def _note(self, source: str, kind: str) -> None:
        self.sources.add(source)
        self.log.append(kind)
        self.times.append(asyncio.get_running_loop().time())
        self._rang.set()


@asynccontextmanager
async def running(source: Source, bells: Bells | None = None, *, up: bool = False) -> AsyncIterator[Bells]:
    """The source runs, rings these bells and ends only because it is told to; `up` waits for a connection."""
    bells = bells or Bells()
    task = asyncio.create_task(source.run(bells))
    try:
        if up:
            await bells.until(lambda: bells.count("connected") > 0)
        yield bells
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def until(condition: Callable[[], bool], *, within: float = DEADLINE) -> None:
    """Return once the condition holds; for what rings no bell."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came to hold"
        await asyncio.sleep(0.002)
