"""How a source is doing, noted where it happens and read as a frozen copy."""

from __future__ import annotations

import logging
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.bitcoin.types import BlockRef

log = logging.getLogger(__name__)

# seconds; CONTRACT: 5 ms to 10 min
LATENCY_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Outcome(StrEnum):
    """How a question ended: answered (also by "not there"), refused or cut off, or not in time."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """A source at one moment; times are Unix seconds, None for what never happened or is not known.

    `latency_counts` is cumulative over `LATENCY_BOUNDS`, its last entry counts all. `software` and
    `last_error` are a server's words, escaped and truncated; `last_reason` is its `SourceError.reason`;
    both are of the last connection that ended, also while the next one is up. `clock_skew` is our clock less
    the server's, in seconds, to about a second.
    """

    name: str
    up: bool
    connected_since: float | None
    tip: BlockRef | None
    last_success: float | None
    subscriptions: int
    protocol: str | None
    software: str | None
    last_reason: str | None
    last_error: str | None
    certificate_not_after: float | None
    clock_skew: float | None
    requests: Mapping[Outcome, int]
    latency_counts: tuple[int, ...]
    latency_seconds: float


class HealthRecord:
    """What the source notes as it happens, over its whole life, reconnections included."""

    def __init__(self) -> None:
        self.connected_since: float | None = None
        self.tip: BlockRef | None = None
        self.last_success: float | None = None
        self.protocol: str | None = None
        self.software: str | None = None
        self.last_reason: str | None = None
        self.last_error: str | None = None
        self.certificate_not_after: float | None = None
        self.clock_skew: float | None = None
        self._requests = dict.fromkeys(Outcome, 0)
        self._latencies = [0] * (len(LATENCY_BOUNDS) + 1)
        self._seconds = 0.0

    def certificate_until(self, not_after: float | None, name: str, now: float) -> None:
        """The certificate shown ends then (Unix seconds); that it has ended already is said once of each.

        Only one that is known by its key can be past its end and be accepted.
        """
        if not_after is not None and not_after < now and not_after != self.certificate_not_after:
            log.warning(
                "its certificate has expired, and its key is still the known one", extra={"source": name}
            )
        self.certificate_not_after = not_after

    def told_the_time(self, date: str | None, now: float) -> None:
        """An answer's `Date` has come; what is none is passed over."""
        if date is None:
            return
        with suppress(ValueError, OverflowError):
            # whole seconds: half of one is the best guess at the rest
            self.clock_skew = now - parsedate_to_datetime(date).timestamp() - 0.5

    def answered(self, outcome: Outcome, seconds: float, count: int = 1) -> None:
        """Count so many questions, and how long each took to end."""
        self._requests[outcome] += count
        self._latencies[bisect_left(LATENCY_BOUNDS, seconds)] += count
        self._seconds += seconds * count

    def read(self, name: str, subscriptions: int) -> SourceHealth:
        """A copy of the present state."""
        return SourceHealth(
            name=name,
            up=self.connected_since is not None,
            connected_since=self.connected_since,
            tip=self.tip,
            last_success=self.last_success,
            subscriptions=subscriptions,
            protocol=self.protocol,
            software=self.software,
            last_reason=self.last_reason,
            last_error=self.last_error,
            certificate_not_after=self.certificate_not_after,
            clock_skew=self.clock_skew,
            requests=dict(self._requests),
            latency_counts=tuple(accumulate(self._latencies)),
            latency_seconds=self._seconds,
        )
