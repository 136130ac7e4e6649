"""Builds the daemon from a config, in the order in which its parts depend on each other."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from watcher import __version__
from watcher.app.backend import DaemonBackend
from watcher.app.canary import Canaries
from watcher.app.clock import Clock
from watcher.app.conditions import Conditions
from watcher.app.current import Current, accepted
from watcher.app.daemon import Daemon
from watcher.app.deliveries import Deliveries
from watcher.app.heart import Heart
from watcher.app.judging import Judge
from watcher.app.kept import Keeper, Kept, succeed
from watcher.app.meters import Meters
from watcher.app.pinning import Pinning
from watcher.app.pricing import Pricing
from watcher.app.rates import Rates
from watcher.app.reaching import ReachingStore
from watcher.app.relist import FOUND_AT_START, relist
from watcher.app.reload import Reloader
from watcher.app.source_states import source_states
from watcher.app.spoken import speak
from watcher.app.verbs import Verbs
from watcher.app.watchlist import Windows
from watcher.app.wiring import door, reaches_of, senders, sources_of
from watcher.app.witnesses import quorum_of
from watcher.bitcoin.networks import PARAMS
from watcher.delivery.outbox import Timing
from watcher.ledger import commit as ledger_commit
from watcher.ledger.figures import figures
from watcher.ledger.opening import create_or_open, path_in, refusals
from watcher.ledger.pins import pins
from watcher.ledger.queries import log_id
from watcher.ledger.reader import Reader
from watcher.ledger.seal import seal
from watcher.ledger.sqlite import VERSION as SQLITE_VERSION
from watcher.ledger.sqlite import open_reader
from watcher.ledger.writer import Writer
from watcher.observe.doorbell import Doorbells
from watcher.observe.watch import Watch
from watcher.service.memory import give_back_what_is_free
from watcher.service.scheduler import Scheduler
from watcher.service.systemd import Systemd
from watcher.web.server import serving
from watcher.web.snapshot import Identity
from watcher.web.sockets import control_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from watcher.app.deliveries import Lent
    from watcher.config.settings import Config
    from watcher.core.observation import Observation
    from watcher.core.outbox import Attempt
    from watcher.ledger.commit import Committed

log = logging.getLogger(__name__)


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


async def run_daemon(config: Config, environ: Mapping[str, str]) -> None:
    """Watch until told to stop.

    The caller holds the lock on the state directory. `LedgerUnusableError` where the ledger cannot be
    used, `SecretProblem` where a secret cannot be had, OSError where an address cannot be had,
    `WrongNetworksError` where every source serves another chain.
    """
    async with AsyncExitStack() as stack:
        daemon = await _build(config, environ, stack)
        # what the program is made of is 90,000 objects and no garbage: looking at them stops every thread
        gc.collect()
        gc.freeze()
        give_back_what_is_free()  # by the reading of the config, and of a long list
        await daemon.run()


async def _build(config: Config, environ: Mapping[str, str], stack: AsyncExitStack) -> Daemon:
    systemd = Systemd(environ)
    systemd.status("opening the ledger")
    writer, reader = await _ledger(config, stack)
    log_of = await writer.run(log_id)
    started = now_ms()
    rates = Rates(
        lambda: (current.now.config.fiat, current.now.shown.settings.last_reload_success_ms), now_ms
    )
    current = Current(accepted(config, log_of, started, rates.at))
    kept = Kept(config.state_directory)
    succession = succeed(kept.reaches, reaches_of(config, environ), started)
    kept.keep(succession.reaches)
    current.reach(succession.reaches)
    settings = current.now.settings
    windows = Windows()
    await writer.run(lambda c: relist(c, config, windows, settings, FOUND_AT_START, started, succession))
    await writer.forget_pages()  # of a long list
    keeper = Keeper(kept, current, writer=writer, now_ms=now_ms)
    meters, scheduler = Meters(), Scheduler()

    def attempted(endpoint: str, attempt: Attempt, seconds: float) -> None:
        meters.attempted(endpoint, attempt, seconds)
        verbs.attempted(attempt)
        keeper.attempted(endpoint)

    def ring(endpoint: str) -> None:
        deliveries.ring(endpoint)

    deliveries = Deliveries(
        ReachingStore(writer.run, lambda: current.now.settings, ring),
        senders(succession.reaches, config),
        timing=Timing(now=time.time, draw=random.random),
        observer=attempted,
    )
    pinning = Pinning(current, await writer.run(pins), writer=writer, deliveries=deliveries, now_ms=now_ms)
    sources = sources_of(config, environ, pinning.key_of)
    doorbells = Doorbells(tuple(source.name for source in sources))

    list_may_change = asyncio.Event()

    clock = Clock()

    async def commit(seen: Observation) -> Committed:
        clock.heard(seen)

        def unit(connection: sqlite3.Connection) -> tuple[Committed, Lent]:
            committed = ledger_commit.commit(connection, current.now.settings, seen)
            return committed, deliveries.lend(connection, committed.endpoints)

        committed, lent = await writer.run(unit)
        deliveries.hand_over(committed.endpoints, lent)
        speak(committed.events, with_addresses=current.now.shown.addresses_are_labels)
        if seen.chain is not None or seen.sightings:
            list_may_change.set()
        if any(event.type == "watch.baselined" for event in committed.events):
            await writer.forget_pages()
            give_back_what_is_free()  # by a first reading, the ledger's work at its end above all
        return committed

    watch = Watch(
        params=PARAMS[config.network],
        sources=sources,
        quorum=lambda: quorum_of(current.now.config, sources),
        reread=config.timing.reread,
        doorbells=doorbells,
        ledger=writer,
        commit=commit,
        now_ms=now_ms,
        detected=meters.detection.observe,
    )
    await watch.load()
    verbs = Verbs(current, writer=writer, deliveries=deliveries, watch=watch, pinning=pinning, now_ms=now_ms)
    reloader = Reloader(
        config.file,
        environ,
        current,
        windows,
        kept,
        writer=writer,
        watch=watch,
        deliveries=deliveries,
        now_ms=now_ms,
    )
    judge = Judge(current, writer=writer, deliveries=deliveries, now_ms=now_ms)
    backend = DaemonBackend(
        Identity(
            version=__version__,
            network=str(config.network),
            sqlite=SQLITE_VERSION,
            log=log_of,
            state_directory=str(config.state_directory.resolve()),
            started_ms=started,
        ),
        current,
        reader=reader,
        writer=writer,
        watch=watch,
        deliveries=deliveries,
        reloader=reloader,
        scheduler=scheduler,
        meters=meters,
        sources=lambda: source_states(current.now.config, sources, watch, pinning),
        now_ms=now_ms,
        judge=judge,
        rates=rates,
        clock=clock,
        verbs=verbs,
        first=await writer.run(lambda c: figures(c, None)),
    )
    bound = await stack.enter_async_context(
        serving(
            backend,
            listen=str(config.http.listen),
            door=door(config, environ),
            control=control_path(config.state_directory, environ),
            monotonic=time.monotonic,
        )
    )
    log.info("listening at %s and %s", bound.url or config.http.listen, bound.control)
    return Daemon(
        current,
        systemd,
        writer,
        sources,
        doorbells,
        watch,
        deliveries,
        reloader,
        scheduler,
        meters,
        list_may_change,
        {
            "conditions": Conditions(
                current, backend, doorbells, watch=watch, writer=writer, deliveries=deliveries, now_ms=now_ms
            ),
            "balances and claims": judge,
            "prices": rates,
            "prices of the past": Pricing(lambda: current.now.config.fiat, writer=writer, now_ms=now_ms),
            "keys": pinning,
            "former endpoints": keeper,
            "canary": Canaries(current, writer=writer, deliveries=deliveries, now_ms=now_ms),
        },
        Heart(current, environ, backend, writer=writer, deliveries=deliveries, meters=meters, now_ms=now_ms),
    )


async def _ledger(config: Config, stack: AsyncExitStack) -> tuple[Writer, Reader]:
    """The ledger's two ends, closed in the right order when the stack is left, and sealed at a good end."""
    path = path_in(config.state_directory)
    connection = create_or_open(config.state_directory, config.network, now_ms())
    with refusals(path):
        writer = Writer(connection)

    def ended(error: type[BaseException] | None, *_: object) -> None:
        if error is None and not (writer.damaged or reader.damaged):
            seal(path)

    stack.push(ended)
    stack.push_async_callback(writer.close)
    reader = Reader(open_reader(path))
    stack.push_async_callback(reader.close)
    return writer, reader
