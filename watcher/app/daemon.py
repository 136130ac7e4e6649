"""The daemon: one process, one event loop, one task group, one way down.

Long tasks never return; one that dies ends the process with a truthful exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from watcher.app.relist import Author
from watcher.ledger.outbox import hasten
from watcher.ledger.queries import newest_ms
from watcher.service.clock import notice_set_backs
from watcher.service.numbers import counted
from watcher.service.pulse import Progress, give_signs
from watcher.service.signals import signals_caught
from watcher.sources.base import WrongNetwork

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence

    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.app.heart import Heart
    from watcher.app.meters import Meters
    from watcher.app.reload import Reloader
    from watcher.ledger.writer import Writer
    from watcher.observe.doorbell import Doorbells
    from watcher.observe.watch import Watch
    from watcher.service.scheduler import Scheduler
    from watcher.service.systemd import Systemd
    from watcher.sources.kinds import AnySource

log = logging.getLogger(__name__)

SEND_SECONDS: Final = 6.0  # for running deliveries, of the ten that the whole way down may take
STATUS_EVERY: Final = 10.0
MEMBERSHIP_EVERY: Final = 60.0
BY_SIGNAL: Final = Author("SIGHUP", None)


class WrongNetworksError(Exception):
    """Every source answered at the start, and all of them serve another chain."""


class Steady(Protocol):
    """A part that works by itself for as long as the daemon runs."""

    async def run(self) -> NoReturn:
        """Work; never returns."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """The parts, built and not yet running; `steady` are those that nobody else here speaks to."""

    current: Current
    systemd: Systemd
    writer: Writer
    sources: Sequence[AnySource]
    doorbells: Doorbells
    watch: Watch
    deliveries: Deliveries
    reloader: Reloader
    scheduler: Scheduler
    meters: Meters
    list_may_change: asyncio.Event
    steady: Mapping[str, Steady]
    heart: Heart

    async def run(self) -> None:
        """Run the long tasks until a signal; then the one way down."""
        stopping, hung_up = asyncio.Event(), asyncio.Event()
        with signals_caught(stop=stopping.set, reload=hung_up.set):
            self.scheduler.every(self.current.now.config.timing.reread, "reread", self._sweep)
            self.scheduler.every(STATUS_EVERY, "status", self._status, at_once=True)
            self.scheduler.start()
            self.systemd.ready()
            log.info("watching %s", counted(len(self.current.now.config.treasuries), "treasury"))
            try:
                async with asyncio.TaskGroup() as group:
                    reloading = group.create_task(self._reload(hung_up), name="reload")
                    tasks = [group.create_task(work, name=name) for name, work in self._long_tasks()]
                    await stopping.wait()
                    # it would set another outbox going, and go on when what it needs is closed
                    reloading.cancel()
                    self.systemd.stopping()
                    log.info("stopping")
                    await self.deliveries.stop()
                    for task in tasks:
                        task.cancel()
            except* WrongNetworksError as group_error:
                raise group_error.exceptions[0] from None
            finally:
                await self.scheduler.stop(SEND_SECONDS)

    def _long_tasks(self) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        yield "watch", self.watch.run()
        yield "outbox", self.deliveries.run()
        yield "loop lag", self.meters.measure_lag()
        yield "networks", self._refuse_wrong_networks()
        yield "membership", self._membership()
        yield "clock", self._mind_the_clock()
        for name, part in self.steady.items():
            yield name, part.run()
        yield "heartbeat", self.heart.run(Progress(self._step, monotonic=time.monotonic))
        for source in self.sources:
            yield f"source {source.name}", source.run(self.doorbells)
        if self.systemd.watchdog_seconds is not None:
            watching = Progress(self._step, monotonic=time.monotonic)
            yield (
                "signs of life",
                give_signs(
                    self.systemd, self.systemd.watchdog_seconds, ledger=self.writer.turn, watching=watching
                ),
            )

    def _step(self) -> int | None:
        """What the watching has done so far; None while it waits for a ring, a source or the disk."""
        if self.watch.idle or not self.writer.writable:
            return None
        return self.watch.rounds + sum(sum(source.health().requests.values()) for source in self.sources)

    async def _reload(self, hung_up: asyncio.Event) -> None:
        """SIGHUP: nobody waits for the verdict, so it is in the log; several at once are one."""
        while True:
            await hung_up.wait()
            hung_up.clear()
            try:
                await self.reloader.reload(BY_SIGNAL)
            except Exception:
                # the watching goes on by the old config, which no restart would bring back
                log.exception("the config cannot be reloaded")

    async def _membership(self) -> None:
        """A membership by height begins with its block, one by an instant within a minute.

        A wallet's window is extended as soon as its scripts are used.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MEMBERSHIP_EVERY):
                    await self.list_may_change.wait()
            self.list_may_change.clear()
            await self.reloader.membership()

    async def _mind_the_clock(self) -> None:
        """What waits for an instant does not wait longer for a clock set back, now or while nobody ran."""
        if await self.writer.run(newest_ms) > time.time() * 1000:
            await self._hasten()
        await notice_set_backs(self._hasten, wall=time.time, monotonic=time.monotonic)

    async def _hasten(self) -> None:
        await self.writer.run(lambda c: hasten(c, int(time.time() * 1000)))
        self.scheduler.hasten()
        self.deliveries.ring_all()

    async def _sweep(self) -> None:
        self.doorbells.sweep()

    async def _status(self) -> None:
        tip = self.watch.tip
        height = "no tip yet" if tip is None else f"tip {tip.height}"
        up = f"{len(self.doorbells.up)} of {counted(len(self.sources), 'source')} up"
        unread = self.watch.waiting
        reading = f"{counted(unread, 'script')} to read" if unread else "all scripts read"
        self.systemd.status(
            f"{height}, {up}, {reading}{'' if self.writer.writable else ', the ledger cannot be written'}"
        )

    async def _refuse_wrong_networks(self) -> None:
        """A config for the wrong chain must not look like quiet; an outage must not end the watch."""
        while self.sources and not self.doorbells.up:
            errors = [self.doorbells.errors.get(source.name) for source in self.sources]
            if any(error is not None and not isinstance(error, WrongNetwork) for error in errors):
                return
            if all(isinstance(error, WrongNetwork) for error in errors):
                raise WrongNetworksError(
                    "; ".join(f"{s.name}: {e}" for s, e in zip(self.sources, errors, strict=True))
                )
            await self.doorbells.changed(within=None)
