"""The daemon as its web surface sees it."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from watcher.app import first_reading
from watcher.app.relist import Author
from watcher.ledger import outbox as outbox_rows
from watcher.ledger.addresses import address_balances
from watcher.ledger.backup import last_backup
from watcher.ledger.canaries import last_arrivals
from watcher.ledger.figures import figures
from watcher.ledger.opening import path_in
from watcher.ledger.queries import Complete as CompleteRow
from watcher.ledger.sqlite import driver
from watcher.web.snapshot import Quorum, Snapshot, SourceState, Stale

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from watcher.app.clock import Clock
    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.app.judging import Judge
    from watcher.app.meters import Meters
    from watcher.app.rates import Rates
    from watcher.app.reload import Reloader
    from watcher.app.shown import Shown
    from watcher.app.verbs import Verbs
    from watcher.ledger.addresses import AddressBalances
    from watcher.ledger.bell import Bell
    from watcher.ledger.figures import LedgerFigures
    from watcher.ledger.queries import TreasuryRow
    from watcher.ledger.reader import Reader
    from watcher.ledger.writer import Writer
    from watcher.observe.watch import Watch
    from watcher.service.scheduler import Scheduler
    from watcher.web.page.terms import PageTerms
    from watcher.web.snapshot import Identity, SourceFigure, Waiting

T = TypeVar("T")


class DaemonBackend:
    """Answers from the ledger, read-only, and from the parts that run."""

    def __init__(  # noqa: PLR0913 - the parts it looks at
        self,
        identity: Identity,
        current: Current,
        *,
        reader: Reader,
        writer: Writer,
        watch: Watch,
        deliveries: Deliveries,
        reloader: Reloader,
        scheduler: Scheduler,
        meters: Meters,
        sources: Callable[[], tuple[SourceState, ...]],
        now_ms: Callable[[], int],
        judge: Judge,
        rates: Rates,
        clock: Clock,
        verbs: Verbs,
        first: LedgerFigures,
    ) -> None:
        self._identity = identity
        self._current = current
        self._reader = reader
        self._writer = writer
        self._watch = watch
        self._deliveries = deliveries
        self._reloader = reloader
        self._scheduler = scheduler
        self._meters = meters
        self._sources = sources
        self._now_ms = now_ms
        self._judge = judge
        self._rates = rates
        self._clock = clock
        self.verbs = verbs
        self._addresses: AddressBalances | None = None
        self._figures = first
        self._arrivals: Mapping[str, int] = {}

    @property
    def _shown(self) -> Shown:
        return self._current.now.shown

    @property
    def identity(self) -> Identity:
        """Which daemon this is."""
        return self._identity

    @property
    def page(self) -> PageTerms:
        """What of the config the page shows."""
        return self._shown.page

    @property
    def bell(self) -> Bell:
        """Rings when the log has grown."""
        return self._writer.bell

    async def snapshot(self) -> Snapshot:
        """The present moment; the ledger's figures are the last that could be read."""
        previous = self._figures
        with contextlib.suppress(driver.Error):  # they keep their value, and watcher_ledger_writable tells
            self._figures, self._arrivals = await self._reader.run(
                lambda c: (figures(c, previous), last_arrivals(c, self._shown.canaries))
            )
        sources = self._sources()
        backup = last_backup(self._shown.state)
        return Snapshot(
            identity=self._identity,
            ledger=replace(self._figures, treasuries=self.completed(self._figures.treasuries)),
            settings=replace(self._shown.settings, last_reload_successful=not self._current.failed),
            quorum=self._quorum(),
            writable=self._writer.writable,
            ledger_bytes=_size(path_in(self._shown.state)),
            free_bytes=shutil.disk_usage(self._shown.state).free,
            loop_lag_seconds=self._meters.loop_lag,
            sources=sources,
            stale=tuple(await self.stale()),
            unsupported=self._watch.unsupported(),
            expected=self._shown.expected,
            endpoints=self._shown.endpoints,
            deliveries=dict(self._meters.deliveries),
            detection=self._meters.detection.read(),
            delivery=self._meters.delivery.read(),
            job_failures=dict(self._scheduler.failures),
            clock_skew_seconds=self._clock.skew(source.clock_skew_seconds for source in sources),
            canaries=self._arrivals,
            heartbeat_ms=self._meters.heartbeat_ms,
            claims=self._judge.claims,
            conditions=self._shown.conditions,
            addresses=await self._address_balances(),
            price=self._rates.last,
            backup_ms=None if backup is None else int(backup * 1000),
        )

    async def _address_balances(self) -> AddressBalances | None:
        """None where addresses are not to be labels."""
        if not self._shown.addresses_are_labels:
            return None
        previous = self._addresses
        with contextlib.suppress(driver.Error):
            self._addresses = await self._reader.run(lambda c: address_balances(c, previous))
        return self._addresses

    async def unready(self) -> Sequence[str]:
        """Why the daemon cannot do its own part; upstream does not matter."""
        return () if self._writer.writable else ("the ledger cannot be written",)

    async def stale(self) -> Sequence[Stale]:
        """The treasuries that are not fresh, with the reasons."""
        return tuple(
            Stale(name, reasons)
            for name in self._shown.treasuries
            if not self._watch.is_empty(name) and (reasons := self._reasons(name))
        )

    def _reasons(self, treasury: str) -> tuple[str, ...]:
        complete = self._watch.complete.get(treasury)
        if complete is None:
            return ("not_read",)
        # what the sources' limits do not let us ask more often is not stale for that
        allowed_ms = max(self._shown.stale_after_ms, 2_000 * self._watch.bound_seconds(treasury))
        # a reading from the future is of a clock that was set back: how old it is, nobody knows
        if abs(self._now_ms() - complete.at_ms) <= allowed_ms:
            return ()
        among = self._watch.quorum.may_learn(treasury)
        up = [source.name for source in self._sources() if source.up and source.name in among]
        if not up:
            return ("no_source",)
        asked = [name for name in up if name not in self._watch.quarantined()]
        if self._watch.quorum.suffices(asked, among):
            return ("too_old",)
        return ("quarantined",) if self._watch.quorum.suffices(up, among) else ("no_quorum",)

    def _quorum(self) -> Quorum:
        quorum = self._watch.quorum
        everybody = tuple(quorum.witnesses)
        fresh = self._watch.fresh_sources()
        return Quorum(quorum.required(everybody), quorum.independent(everybody), quorum.independent(fresh))

    async def first_reading(self, treasury: str) -> Sequence[SourceFigure]:
        """Each source's own figure of a treasury that is read for the first time."""
        return await first_reading.figures(self._watch, self._reader, treasury)

    def waiting(self, treasury: str) -> Sequence[Waiting]:
        """Unconfirmed transactions that too few sources show to be facts."""
        return first_reading.waiting(self._watch, treasury)

    def completed(self, rows: Sequence[TreasuryRow]) -> tuple[TreasuryRow, ...]:
        """The rows with what is known now: between blocks completeness is not written down."""
        now = self._watch.complete
        return tuple(
            replace(
                row,
                unproven=self._watch.unproven(row.name),
                seconds_left=self._watch.seconds_left(row.name),
                complete=CompleteRow(
                    now[row.name].block.height,
                    now[row.name].block.hash,
                    now[row.name].at_ms,
                    now[row.name].sources,
                )
                if row.name in now
                else row.complete,
            )
            for row in rows
        )

    def independent(self, sources: Sequence[str]) -> int:
        """How many operators these sources have."""
        return self._watch.quorum.independent(sources)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns on a read-only connection."""
        return await self._reader.run(work)

    async def reload(self, reason: str | None, by: str | None) -> Sequence[str]:
        """Read the config again."""
        return await self._reloader.reload(Author(reason, by))

    async def redeliver(self, delivery: int) -> bool:
        """Make a delivery due now."""
        endpoint = await self._writer.run(lambda c: outbox_rows.redeliver(c, delivery, self._now_ms()))
        if endpoint is None:
            return False
        self._deliveries.ring(endpoint)
        return True

    async def redeliver_since(self, endpoint: str, sequence: int) -> int | None:
        """Make due now all that went to the endpoint from that event on."""
        if endpoint not in self._shown.endpoints:
            return None
        count = await self._writer.run(
            lambda c: outbox_rows.redeliver_since(c, endpoint, sequence, self._now_ms())
        )
        self._deliveries.ring(endpoint)
        return count


def _size(path: Path) -> int:
    """The ledger's bytes, its write-ahead log included."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
