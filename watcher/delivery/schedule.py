"""When to try again: the schedule of the Standard Webhooks specification, 10 attempts over 75 hours.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
("Deliverability and reliability", example retry schedule).
"""

from __future__ import annotations

import math
from typing import Final, assert_never

from watcher.core.outbox import Accepted, Again, Dead, Fate, Refused
from watcher.delivery.verdict import Delivered, Gone, Reason, Rejected, Retry, Verdict

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0

# the delay before each attempt; the first is made at once
DELAYS: Final = (
    0.0,
    5.0,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
JITTER: Final = 0.1
MAX_RETRY_AFTER: Final = 24 * _HOUR

# how long a whole endpoint is spared: as long as it asked for, but it is tried again from time to time
THROTTLE: Final = 5.0
MAX_THROTTLE: Final = 10 * _MINUTE


def next_delay(attempts_made: int, draw: float) -> float | None:
    """Seconds to wait after that many attempts, up to 10 % more by `draw` in [0, 1); None: no more."""
    if attempts_made >= len(DELAYS):
        return None
    return DELAYS[attempts_made] * (1 + JITTER * draw)


def fate_of(verdict: Verdict, attempts_made: int, *, ended: float, draw: float) -> Fate:
    """What becomes of a delivery whose last of `attempts_made` attempts ended then (seconds since 1970)."""
    match verdict:
        case Delivered():
            return Accepted()
        case Gone():
            return Refused()
        case Rejected():
            return Dead()
        case Retry(after=after):
            delay = next_delay(attempts_made, draw)
            if delay is None:
                return Dead()
            wait = max(delay, min(after or 0.0, MAX_RETRY_AFTER))
            return Again(math.ceil((ended + wait) * 1000))
        case _:
            assert_never(verdict)


def throttle_of(verdict: Verdict) -> float:
    """Seconds for which nothing more goes to an endpoint that said so (429, 502, 503, 504, `Retry-After`)."""
    match verdict:
        case Retry(after=float(after)):
            return min(after, MAX_THROTTLE)
        case Retry(reason=Reason.THROTTLED | Reason.OVERLOADED):
            return THROTTLE
        case Delivered() | Retry() | Rejected() | Gone():
            return 0.0
        case _:
            assert_never(verdict)
