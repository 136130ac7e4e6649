"""`/metrics`: one snapshot, rendered off the event loop and kept for at most a second.

A figure whose source did not answer keeps its last value while its timestamp ages; what never happened
has no timestamp; nothing is ever NaN.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from watcher.web.figures import figure_families
from watcher.web.labels import DELIVERY_OUTCOMES, POSITIONS, REQUEST_OUTCOMES, STRIKE_REASONS
from watcher.web.samples import counter, gauge, histogram, info, seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from watcher.ledger.queries import TreasuryRow
    from watcher.web.snapshot import Snapshot, SourceState

MAX_AGE_SECONDS: Final = 1.0  # CONTRACT: the body is at most 1 s old
_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
_TEXT: Final = "text/plain; version=0.0.4"


@dataclass(frozen=True, slots=True)
class Exposition:
    """A rendered answer to a scrape."""

    body: bytes
    content_type: str


class MetricsPage:
    """The metrics of one daemon. `snapshot` is asked at most once a second, `monotonic` is in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._collector = _SnapshotCollector()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._lock = asyncio.Lock()
        self._rendered: dict[str, tuple[float, Exposition]] = {}

    async def render(self, accept: str, snapshot: Callable[[], Awaitable[Snapshot]]) -> Exposition:
        """The body in the format that the Accept header asks for."""
        # two formats and no more, so that a client's header can neither fill the cache nor be echoed
        form = _OPENMETRICS if "application/openmetrics-text" in accept else _TEXT
        async with self._lock:
            kept = self._rendered.get(form)
            if kept is not None and self._monotonic() - kept[0] < MAX_AGE_SECONDS:
                return kept[1]
            taken = self._monotonic()
            self._collector.snapshot = await snapshot()
            exposition = await asyncio.to_thread(self._generate, form)
            self._rendered[form] = (taken, exposition)
            return exposition

    def _generate(self, accept: str) -> Exposition:
        encode, content_type = choose_encoder(accept)
        return Exposition(encode(self._registry), content_type)


class _SnapshotCollector(Collector):
    snapshot: Snapshot | None = None

    def collect(self) -> Iterator[Metric]:
        if self.snapshot is not None:
            yield from families(self.snapshot)


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """Every metric family of the contract that the snapshot can tell."""
    yield from _about(snapshot)
    yield from _treasuries(snapshot)
    yield from figure_families(snapshot)
    yield from _log(snapshot)
    yield from _sources(snapshot.sources)
    yield from _outbox(snapshot)
    yield from _daemon(snapshot)


def _about(snapshot: Snapshot) -> Iterator[Metric]:
    identity = snapshot.identity
    yield info("watcher_build_info", [(identity.version, identity.network, identity.sqlite)])
    treasuries = snapshot.ledger.treasuries
    yield info("watcher_treasury_info", [(t.name, t.title, t.attribution) for t in treasuries])
    yield info("watcher_source_info", [(s.name, s.kind, s.operator) for s in snapshot.sources])


def _treasuries(snapshot: Snapshot) -> Iterator[Metric]:
    # a treasury without watches has neither balance nor freshness
    watched = [row for row in snapshot.ledger.treasuries if row.scripts]
    stale = {entry.treasury for entry in snapshot.stale}
    yield gauge(
        "watcher_treasury_balance_satoshis",
        {
            (row.name, position): value
            for row in watched
            for position, value in zip(POSITIONS, (row.confirmed, row.pending), strict=True)
        },
    )
    yield gauge("watcher_treasury_fresh", {(row.name,): _is_fresh(row, stale) for row in watched})
    done = [(row.name, row.complete) for row in watched if row.complete is not None]
    yield gauge("watcher_treasury_complete_height", {(name,): c.height for name, c in done})
    yield gauge("watcher_treasury_complete_timestamp_seconds", {(name,): c.at_ms / 1000 for name, c in done})
    yield gauge(
        "watcher_treasury_last_change_timestamp_seconds",
        {(row.name,): seconds(row.last_change_ms) for row in watched},
    )
    rows = snapshot.ledger.treasuries
    yield gauge("watcher_treasury_scripts", {(row.name,): row.scripts for row in rows})
    yield gauge(
        "watcher_treasury_unsupported_scripts",
        {(row.name,): snapshot.unsupported.get(row.name, 0) for row in rows},
    )
    yield gauge("watcher_treasury_baseline_ratio", {(row.name,): row.baseline_ratio for row in watched})
    yield gauge("watcher_treasury_unproven_transactions", {(row.name,): row.unproven for row in watched})
    flows = snapshot.ledger.flows
    yield gauge("watcher_treasury_transactions", {key: f.transactions for key, f in flows.items()})
    yield gauge("watcher_treasury_flow_satoshis", {key: f.sats for key, f in flows.items()})


def _is_fresh(row: TreasuryRow, stale: set[str]) -> int:
    return int(row.baselined_ms is not None and row.name not in stale)


def _log(snapshot: Snapshot) -> Iterator[Metric]:
    events = dict.fromkeys(snapshot.expected, 0) | dict(snapshot.ledger.events)
    yield counter("watcher_events_total", events)
    tip = snapshot.ledger.tip
    yield gauge("watcher_tip_height", {(): None if tip is None else tip.height})
    yield gauge("watcher_tip_timestamp_seconds", {(): None if tip is None else tip.time})
    yield counter("watcher_reorganizations_total", {(): snapshot.ledger.reorganizations})
    yield gauge("watcher_clock_skew_seconds", {(): snapshot.clock_skew_seconds})
    quorum = snapshot.quorum
    yield gauge(
        "watcher_quorum_sources",
        {("required",): quorum.required, ("fresh",): quorum.fresh, ("independent",): quorum.independent},
    )


def _sources(sources: tuple[SourceState, ...]) -> Iterator[Metric]:
    yield gauge("watcher_source_up", {(s.name,): int(s.up) for s in sources})
    yield gauge("watcher_source_tip_height", {(s.name,): s.tip_height for s in sources})
    yield gauge(
        "watcher_source_last_success_timestamp_seconds",
        {(s.name,): seconds(s.last_success_ms) for s in sources},
    )
    yield gauge("watcher_source_subscriptions", {(s.name,): s.subscriptions for s in sources})
    yield gauge(
        "watcher_source_detection_bound_seconds", {(s.name,): s.detection_bound_seconds for s in sources}
    )
    yield gauge(
        "watcher_source_certificate_not_after_timestamp_seconds",
        {(s.name,): seconds(s.certificate_not_after_ms) for s in sources},
    )
    outcomes = dict.fromkeys(REQUEST_OUTCOMES, 0)
    yield counter(
        "watcher_source_requests_total",
        {(s.name, outcome): n for s in sources for outcome, n in (outcomes | dict(s.requests)).items()},
    )
    yield histogram("watcher_source_request_seconds", {(s.name,): s.request_seconds for s in sources})
    strikes = dict.fromkeys(STRIKE_REASONS, 0)
    yield counter(
        "watcher_source_strikes_total",
        {(s.name, reason): n for s in sources for reason, n in (strikes | dict(s.strikes)).items()},
    )


def _outbox(snapshot: Snapshot) -> Iterator[Metric]:
    rows = {row.endpoint: row for row in snapshot.ledger.outbox}
    configured = dict.fromkeys(((name,) for name in snapshot.endpoints), 0)
    yield gauge("watcher_outbox_pending", configured | {(name,): row.pending for name, row in rows.items()})
    yield gauge("watcher_outbox_dead", configured | {(name,): row.dead for name, row in rows.items()})
    yield gauge(
        "watcher_outbox_oldest_due_timestamp_seconds",
        {(name,): seconds(row.oldest_due_ms) for name, row in rows.items()},
    )
    yield gauge(
        "watcher_canary_last_success_timestamp_seconds",
        {(name,): seconds(at_ms) for name, at_ms in snapshot.canaries.items()},
    )
    attempts = {(name, outcome): 0 for name in snapshot.endpoints for outcome in DELIVERY_OUTCOMES}
    yield counter("watcher_deliveries_total", attempts | dict(snapshot.deliveries))
    yield histogram("watcher_detection_seconds", {(): snapshot.detection})
    yield histogram("watcher_delivery_seconds", {(): snapshot.delivery})


def _daemon(snapshot: Snapshot) -> Iterator[Metric]:
    yield gauge("watcher_ledger_writable", {(): int(snapshot.writable)})
    yield gauge("watcher_ledger_bytes", {(): snapshot.ledger_bytes})
    yield gauge("watcher_state_free_bytes", {(): snapshot.free_bytes})
    yield gauge("watcher_backup_last_success_timestamp_seconds", {(): seconds(snapshot.backup_ms)})
    yield gauge("watcher_heartbeat_last_success_timestamp_seconds", {(): seconds(snapshot.heartbeat_ms)})
    settings = snapshot.settings
    # 48 bits are exact in a float and enough to see that two daemons run the same config
    yield gauge("watcher_config_hash", {(): int(settings.digest[:12], 16)})
    yield gauge("watcher_config_last_reload_successful", {(): int(settings.last_reload_successful)})
    yield gauge(
        "watcher_config_last_reload_success_timestamp_seconds",
        {(): seconds(settings.last_reload_success_ms)},
    )
    yield counter("watcher_job_failures_total", {(job,): n for job, n in snapshot.job_failures.items()})
    yield gauge("watcher_event_loop_lag_seconds", {(): snapshot.loop_lag_seconds})
