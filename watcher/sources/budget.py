"""How many requests a source may be sent: several limits at once, never exceeded, never used up at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_ONCE: Final = 4  # a quarter of what a time allows may go out together, the rest is spread over it
# a billionth of a request is rounding: without it a wait could round to no time at all, and not end
_ROUNDING: Final = 1e-9


class Allowance:
    """Token buckets, one for each (requests, seconds); no window of that length ever sees more requests.

    A bucket holds a quarter of its requests and is refilled evenly with the rest. So a first reading is
    quick, and the question for the tip never waits until an hour is over. Requests go out in the order
    in which they were taken. Times are those of the caller's clock, in seconds.
    """

    def __init__(self, limits: Sequence[tuple[int, float]], now: float) -> None:
        if any(requests < 1 or seconds <= 0 for requests, seconds in limits):
            raise ValueError("a limit is at least one request in some time")
        self._buckets = [_bucket(requests, seconds) for requests, seconds in limits]
        self._at = now  # when the last request went or goes out; the levels are those of that moment

    @property
    def spacing(self) -> float:
        """Seconds between two requests in the long run; 0 where there is no limit."""
        return max((1 / bucket.rate for bucket in self._buckets), default=0.0)

    @property
    def most(self) -> int:
        """How many requests can ever go out together."""
        return int(min(bucket.most for bucket in self._buckets))

    def at_once(self, now: float) -> int:
        """How many requests could go out together now."""
        if now < self._at:
            return 0  # some have still to go out
        return int(min(bucket.after(now - self._at) for bucket in self._buckets))

    def delay(self, now: float) -> float:
        """How long the next request would have to wait."""
        start = max(now, self._at)
        waits = (max(0.0, 1 - bucket.after(start - self._at)) / bucket.rate for bucket in self._buckets)
        wait = max(waits, default=0.0)
        return start + (wait if wait > _ROUNDING else 0.0) - now

    def take(self, now: float) -> float:
        """Count a request, and say how long it has to wait."""
        delay = self.delay(now)
        for bucket in self._buckets:
            bucket.level = bucket.after(now + delay - self._at) - 1
        self._at = now + delay
        return delay


@dataclass(slots=True)
class _Bucket:
    most: float
    rate: float  # requests a second
    level: float

    def after(self, seconds: float) -> float:
        return min(self.most, self.level + seconds * self.rate)


def _bucket(requests: int, seconds: float) -> _Bucket:
    most = max(1, requests // _AT_ONCE)
    # in any half-open window of `seconds` at most `most - 1 + ceil(rate * seconds)` requests go out
    return _Bucket(most, (requests - most + 1) / seconds, most)
