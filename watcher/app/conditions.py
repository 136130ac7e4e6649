"""Watches the watching: sources that stay away and treasuries that are not fresh become events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.app.spoken import speak_of_conditions
from watcher.ledger.conditions import Condition, set_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from watcher.app.backend import DaemonBackend
    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.core.events import Data
    from watcher.ledger.writer import Writer
    from watcher.observe.doorbell import Doorbells
    from watcher.observe.watch import Watch

LOOK_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 30.0  # a connection that comes back sooner is no failure: flapping tells nothing


@dataclass(frozen=True, slots=True)
class _Found:
    condition: Condition
    data: Data
    holds: bool


class Conditions:
    """Tells the beginning and the end of each; what the ledger has told already is not told again."""

    def __init__(
        self,
        current: Current,
        backend: DaemonBackend,
        doorbells: Doorbells,
        *,
        watch: Watch,
        writer: Writer,
        deliveries: Deliveries,
        now_ms: Callable[[], int],
    ) -> None:
        self._current = current
        self._config = current.now.config
        self._backend = backend
        self._doorbells = doorbells
        self._watch = watch
        self._writer = writer
        self._deliveries = deliveries
        self._now_ms = now_ms
        self._told: dict[Condition, bool] = {}
        self._down_since: dict[str, float] = {}

    async def run(self) -> NoReturn:
        """Look, for ever."""
        while True:
            if self._current.now.config is not self._config:
                # the ledger has forgotten what left with the config before, and it may be back already
                self._config, self._told = self._current.now.config, {}
            for found in [*self._sources(), *self._disagreements(), *await self._treasuries()]:
                if self._told.get(found.condition) is not found.holds:
                    await self._tell(found)
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self, found: _Found) -> None:
        at_ms, settings = self._now_ms(), self._current.now.settings
        told = await self._writer.run(
            lambda c: set_condition(c, settings, found.condition, found.data, at_ms, holds=found.holds)
        )
        self._told[found.condition] = found.holds
        speak_of_conditions(told.events)
        for endpoint in told.endpoints:
            self._deliveries.ring(endpoint)

    def _sources(self) -> Iterator[_Found]:
        """A source has failed when it was down for a while, and is back as soon as it is up."""
        now = asyncio.get_running_loop().time()
        for source in self._current.now.config.sources:
            name = source.name
            condition = Condition("source", name, "source.failed", "source.recovered")
            if name in self._doorbells.up:
                self._down_since.pop(name, None)
                yield _Found(condition, {"source": name, "reason": "connected"}, holds=False)
            elif now - self._down_since.setdefault(name, now) >= SETTLE_SECONDS:
                error = self._doorbells.errors.get(name)
                reason = "unavailable" if error is None else error.reason
                yield _Found(condition, {"source": name, "reason": reason}, holds=True)

    def _disagreements(self) -> Iterator[_Found]:
        """A source that was caught, until it has answered for everything and left out nothing."""
        for source in self._current.now.config.sources:
            condition = Condition("disagreement", source.name, "source.disagreed", "source.agreed")
            reason = self._watch.conduct.convicted_of(source.name)
            if reason is None and not self._watch.attendants[source.name].complete:
                continue  # after a restart it is not known to agree before it has answered for everything
            data: Data = {"source": source.name, "reason": reason or "agrees"}
            yield _Found(condition, data, holds=reason is not None)

    async def _treasuries(self) -> list[_Found]:
        """A treasury is stale when it was fresh once and is not now: a first reading is not an alarm."""
        stale = {entry.treasury: entry.reasons for entry in await self._backend.stale()}
        found: list[_Found] = []
        for name in self._current.now.shown.treasuries:
            if self._watch.is_empty(name):
                continue
            condition = Condition("stale", name, "treasury.stale", "treasury.fresh", treasury=name)
            reasons = stale.get(name)
            if reasons is None:
                found.append(_Found(condition, {"reason": "read"}, holds=False))
            elif reasons[0] != "not_read":
                found.append(_Found(condition, {"reason": reasons[0]}, holds=True))
        return found
