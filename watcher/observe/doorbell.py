"""Where sources ring: what to look at again, never what to believe."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watcher.observe.tidings import Tidings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import SourceError


@dataclass(slots=True)
class Rings:
    """What rang since it was last asked; each thing once, however often it rang."""

    scripts: set[ScriptHash] = field(default_factory=set)
    tip: bool = False
    connected: bool = False
    sweep: bool = False
    gone: SourceError | None = None
    since: float | None = None  # the event loop's time of the first ring


class Bell:
    """One source's bell, and the timer's."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._rings = Rings()

    @property
    def scripts(self) -> AbstractSet[ScriptHash]:
        """Those that have rung and wait for an answer."""
        return self._rings.scripts

    @property
    def sweep_is_due(self) -> bool:
        """Whether the timer has rung and waits for an answer."""
        return self._rings.sweep

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended, and nobody has answered to that yet."""
        return self._rings.gone is not None

    def ring(
        self,
        *,
        script: ScriptHash | None = None,
        tip: bool = False,
        connected: bool = False,
        sweep: bool = False,
        gone: SourceError | None = None,
    ) -> None:
        """Something is to be looked at again."""
        if script is not None:
            self._rings.scripts.add(script)
        self._rings.tip |= tip
        self._rings.connected |= connected
        self._rings.sweep |= sweep
        self._rings.gone = gone or self._rings.gone
        if self._rings.since is None:
            self._rings.since = asyncio.get_running_loop().time()
        self._rung.set()

    def forget(self) -> None:
        """What rang while nobody attended is of an earlier connection."""
        self._rung.clear()
        self._rings = Rings()

    async def answered(self) -> Rings:
        """Wait until something rings; the caller has it from then on."""
        await self._rung.wait()
        self._rung.clear()
        rings, self._rings = self._rings, Rings()
        return rings


class Doorbells:
    """The `Doorbell` of every source, by name; `up` are those that are connected, `errors` why not."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.bells = {name: Bell() for name in names}
        self.up: set[str] = set()
        self.errors: dict[str, SourceError] = {}
        self._changed = asyncio.Event()
        self._tidings = Tidings()

    def script_rang(self, source: str, scripthash: ScriptHash) -> None:
        """Look again at this script."""
        self.bells[source].ring(script=scripthash)

    def tip_rang(self, source: str) -> None:
        """Look again at the tip."""
        self.bells[source].ring(tip=True)

    def connected(self, source: str) -> None:
        """A new connection: everything may have changed."""
        self.up.add(source)
        self.errors.pop(source, None)
        self._tidings.connected(source)
        self.bells[source].ring(connected=True)
        self._changed.set()

    def disconnected(self, source: str, why: SourceError) -> None:
        """The source comes back by itself and rings then; who attends to it is told."""
        self.up.discard(source)
        self._tidings.failed(source, why)
        self.errors[source] = why
        self.bells[source].ring(gone=why)
        self._changed.set()

    def sweep(self) -> None:
        """The timer: every script is to be asked again."""
        for bell in self.bells.values():
            bell.ring(sweep=True)

    def look_again(self, sources: Iterable[str]) -> None:
        """What is to be read at these sources has grown."""
        for source in sources:
            self.bells[source].ring(tip=True)

    def stir(self) -> None:
        """Whoever waits for a source to come or go looks now whether it may be asked."""
        self._changed.set()

    def relisted(self) -> None:
        """The watch list changed: as after a new connection, every script is to be asked."""
        for bell in self.bells.values():
            bell.ring(connected=True)

    async def changed(self, *, within: float | None) -> None:
        """Wait until a source comes or goes, or until `within` seconds have passed."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()
