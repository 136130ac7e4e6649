"""How each source is doing, as page, API and metrics tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.web.distribution import Distribution
from watcher.web.snapshot import SourceState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.app.pinning import Pinning
    from watcher.config.settings import Config, SourceConfig
    from watcher.observe.watch import Watch
    from watcher.sources.kinds import AnySource


def source_states(
    config: Config, sources: Sequence[AnySource], watch: Watch, pinning: Pinning
) -> tuple[SourceState, ...]:
    """How each source is doing."""
    by_name = {source.name: source for source in config.sources}
    return tuple(_state(by_name[s.name], s, watch, pinning.known_by(s.name)) for s in sources)


def _state(said: SourceConfig, source: AnySource, watch: Watch, known_by: str | None) -> SourceState:
    health = source.health()
    strikes = {reason: n for (name, reason), n in watch.conduct.strikes.items() if name == source.name}
    return SourceState(
        name=source.name,
        kind=said.kind,
        operator=said.operator or source.host,
        up=health.up,
        tip_height=None if health.tip is None else health.tip.height,
        last_success_ms=_ms(health.last_success),
        connected_ms=_ms(health.connected_since),
        subscriptions=health.subscriptions,
        certificate_not_after_ms=_ms(health.certificate_not_after),
        clock_skew_seconds=health.clock_skew,
        requests={str(outcome): n for outcome, n in health.requests.items()},
        request_seconds=Distribution(health.latency_counts, health.latency_seconds),
        detection_bound_seconds=watch.attendants[source.name].bound,
        strikes=strikes,
        caught=watch.conduct.convicted_of(source.name),
        quarantined_until_ms=watch.quarantined_until_ms(source.name),
        pin=known_by if said.pin is None else f"sha256:{said.pin}",
        protocol=health.protocol,
        software=health.software,
        last_error=health.last_error,
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
