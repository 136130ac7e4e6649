"""How long an Electrum server may take, and how long a line of its may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watcher.sources.budget import Allowance
from watcher.sources.jsonrpc import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

_PINGS_SHARE: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect; for a whole answer; of silence until a ping, and until the line counts as dead.

    `silence` is below 30 s so that a half-open connection is noticed within that. `line` is in bytes.
    """

    connect: float = 10.0
    answer: float = 30.0
    ping: float = 12.0
    silence: float = 25.0
    line: int = MAX_LINE

    def within(self, budget: Sequence[tuple[int, float]]) -> Limits:
        """Fewer pings where each is counted: at most one request in eight is one."""
        ping = max(self.ping, _PINGS_SHARE * Allowance(budget, 0.0).spacing)
        return replace(self, ping=ping, silence=self.silence * ping / self.ping)
