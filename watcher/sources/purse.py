"""What an Electrum server may be asked now: within what it charges for, and within a budget of requests."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Final

from watcher.sources import costs
from watcher.sources.budget import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watcher.sources.jsonrpc import Question

_A_PIECE: Final = 100  # scripts: asking for fewer at a time is not worth the trouble
# Scripts: a list this short costs 60, about what is forgiven in a minute. To put it off would spare nothing.
_SHORT: Final = 250
# Questions of a turn besides its scripts: the tip and its header, before and after. Without room for them,
# each attempt would cost what was forgiven since the last, and the rest of a list would never have its turn.
_A_TURN: Final = 4
_ROUNDING: Final = 1e-6  # of a script: time passed is not exact
_SHORTEST: Final = 0.1  # seconds
_PATIENCE: Final = 10.0  # seconds that a piece of a list may take to be asked for
_SHARE_FOR_SWEEPS: Final = 0.5  # of the requests that a budget allows at this moment


class Purse:
    """One server's, over all connections; `clock` gives monotonic seconds. Without limits nothing ever waits.

    `charges` says that the server may have ElectrumX's default cost limits; `budget` has (requests, seconds)
    that hold at once.
    """

    def __init__(
        self, budget: Sequence[tuple[int, float]], *, charges: bool, clock: Callable[[], float]
    ) -> None:
        self.at_leisure = False  # whether what is asked now may wait until the debt is small again
        self._clock = clock
        self._debt = costs.Debt() if charges else None
        self._allowance = Allowance(budget, clock()) if budget else None

    @property
    def is_counted(self) -> bool:
        """Whether each request counts, so that one which only speeds up another is too many."""
        return self._allowance is not None

    def pay(self, questions: Sequence[Question]) -> float:
        """Take the price of these, and say how many seconds to wait before they are asked."""
        now = self._clock()
        wait = 0.0
        if self._allowance is not None:
            wait = [self._allowance.take(now) for _ in questions][-1]
        if self._debt is not None:
            ceiling = costs.READING if self.at_leisure else costs.PRESSING
            price = sum(costs.price(question.method) for question in questions)
            wait = max(wait, self._debt.take(price, ceiling, now))
        return wait

    def ping(self, question: Question) -> None:
        """A question that keeps the line alive: it does not wait, and counts."""
        if self._allowance is not None:
            self._allowance.take(self._clock())
        self._charge(costs.price(question.method))

    def heard(self, size: int) -> None:
        """So many bytes have come."""
        self._charge(size * costs.BYTE)

    def refused(self) -> None:
        """A question was answered by an error: that is dear."""
        self._charge(costs.REFUSAL)

    def notified(self) -> None:
        """We were told of a script: the server has computed its status, and nobody is at leisure any more."""
        self.at_leisure = False
        self._charge(costs.RESUBSCRIPTION)

    def subscribed(self, scripts: int) -> None:
        """How many scripts the server tells us of."""
        if self._debt is not None:
            self._debt.subscribed(scripts, self._clock())

    def scripts(self, wanted: int) -> int:
        """For how many of so many scripts the status may be asked now; none where it is not worth it yet."""
        if wanted <= _SHORT:
            self.at_leisure = False
        most, piece, now = wanted, self._piece(wanted), self._clock()
        if self._debt is not None:
            room = self._debt.room(self._ceiling(wanted), now)
            most = min(most, floor(room / costs.RESUBSCRIPTION + _ROUNDING))
        if self._allowance is not None:
            most = min(most, ceil(self._soon(self._allowance, now) * _SHARE_FOR_SWEEPS))
        return most if most >= piece else 0

    def seconds_until_scripts(self, wanted: int) -> float:
        """How long until `scripts` gives some of so many."""
        piece, now, wait = self._piece(wanted), self._clock(), 0.0
        if self._debt is not None:
            room = piece * costs.RESUBSCRIPTION + costs.TURN
            wait = self._debt.seconds_until(room, self._ceiling(wanted), now)
        if self._allowance is not None:
            missing = piece / _SHARE_FOR_SWEEPS + _A_TURN - self._soon(self._allowance, now)
            wait = max(wait, missing * self._allowance.spacing)
        return max(wait, _SHORTEST)

    def _piece(self, wanted: int) -> int:
        most = float(_A_PIECE)
        if self._allowance is not None:
            most = (self._allowance.most + _PATIENCE / self._allowance.spacing) / 4
        return max(1, min(wanted, _A_PIECE, floor(most)))

    @staticmethod
    def _soon(allowance: Allowance, now: float) -> float:
        """How many requests may go out now or in a few seconds."""
        return allowance.at_once(now) + _PATIENCE / allowance.spacing

    def _charge(self, cost: float) -> None:
        if self._debt is not None:
            self._debt.add(cost, self._clock())

    def _ceiling(self, scripts: int) -> float:
        return costs.SWEEPING if self.at_leisure and scripts > _SHORT else costs.PRESSING
