"""What an ElectrumX server charges, so that it never throttles and never disconnects us.

By its defaults (`COST_SOFT_LIMIT` 1,000, `COST_HARD_LIMIT` 10,000) a session pays for each request and for
each byte, is made to wait above the soft limit and is cut off at the hard one; what it owes is forgiven at a
rate that falls with its subscriptions. Asking for the status of a script costs 0.24, the first time and again
(measured on 1.18 and 1.20); the other prices are from its source. What a session owed when it ended goes on
counting for a while, so that a debt outlives its connection.
"""

from __future__ import annotations

from typing import Final

from watcher.sources import wire

RESUBSCRIPTION: Final = 0.24
REFUSAL: Final = 100.0
BYTE: Final = 1 / 5000

# The soft limit is 1,000. What can wait leaves room for what cannot, and for those who share our network.
SWEEPING: Final = 500.0
READING: Final = 850.0
# What rang does not wait: a server that makes us wait a little is sooner than we would be by ourselves. Only
# just below the hard limit it is better to wait than to be cut off.
PRESSING: Final = 9_000.0

_SHARE: Final = 0.9  # of what is forgiven; the rest is for headers, pings and readings
TURN: Final = 4.0  # of what each turn asks besides its scripts: the tip and its header, before and after
_PRICES: Final = {
    wire.SCRIPT_METHOD: RESUBSCRIPTION - 100 * BYTE,  # its answer has a hundred bytes
    wire.TRANSACTION_METHOD: 1.0,
    wire.PING.method: 0.1,
}
_OTHERWISE: Final = 0.5  # histories, branches, headers: 0.25 to 0.5, and their bytes


def price(method: str) -> float:
    """Of one question, without the bytes of its answer."""
    return _PRICES.get(method, _OTHERWISE)


def forgiven(scripts: int) -> float:
    """Of a debt in a second, with so many subscriptions."""
    return 10_000 / (10_000 + 5 * scripts)


def sweep_seconds(scripts: int) -> float:
    """How long asking for so many subscribed scripts again has to take, so that the debt does not grow."""
    cost = scripts * RESUBSCRIPTION
    return max(cost / _SHARE, cost + TURN) / forgiven(scripts) if scripts else 0.0


class Debt:
    """What one server is owed, as far as we can tell; times are the caller's clock, in seconds."""

    def __init__(self) -> None:
        self._owed = 0.0
        self._at = 0.0
        self._forgiven = forgiven(0)

    def subscribed(self, scripts: int, now: float) -> None:
        """So many scripts are subscribed to from now on."""
        self._settle(now)
        self._forgiven = forgiven(scripts)

    def add(self, cost: float, now: float) -> None:
        """So much was charged, whether we would or not."""
        self._settle(now)
        self._owed += cost

    def take(self, cost: float, ceiling: float, now: float) -> float:
        """Owe this too, and say how long to wait first, so that no more than `ceiling` is owed then.

        What costs more than the ceiling by itself waits until nothing else is owed.
        """
        self._settle(now)
        over = min(self._owed, self._owed + cost - ceiling)
        self._owed += cost
        return max(0.0, over) / self._forgiven

    def room(self, ceiling: float, now: float) -> float:
        """How much more may be owed at once below the ceiling."""
        self._settle(now)
        return max(0.0, ceiling - self._owed)

    def seconds_until(self, room: float, ceiling: float, now: float) -> float:
        """How long until there is so much room."""
        self._settle(now)
        return max(0.0, self._owed + room - ceiling) / self._forgiven

    def _settle(self, now: float) -> None:
        self._owed = max(0.0, self._owed - max(0.0, now - self._at) * self._forgiven)
        self._at = max(self._at, now)
