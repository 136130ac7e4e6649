"""Signs of life for systemd's watchdog: given while the work gets on, and not because a timer ran.

Three things can stand still by themselves: the event loop, which then gives no signs; the ledger's thread,
which is waited for before each; and the watching, which is asked what it does. What others do to us (no
source, a slow one, a full disk) is no reason to be killed: a restart would change nothing about it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from watcher.service.systemd import Systemd

log = logging.getLogger(__name__)

STUCK_SECONDS: Final = 300.0  # ten times what one question may take until it ends, answered or not
_SIGNS_AN_INTERVAL: Final = 4  # one may be late, and one lost


class Progress:
    """Tells work that gets on from work that is stuck.

    `look` gives a number that changes with each step, or None while there is rightly nothing to do;
    `monotonic` gives seconds.
    """

    def __init__(
        self,
        look: Callable[[], int | None],
        *,
        monotonic: Callable[[], float],
        seconds: float = STUCK_SECONDS,
    ) -> None:
        self._look = look
        self._monotonic = monotonic
        self._seconds = seconds
        self._step: int | None = None
        self._since = monotonic()

    def stuck(self) -> bool:
        """Whether it has been at the same step for too long, as far as the looks tell."""
        step, now = self._look(), self._monotonic()
        if step is None or step != self._step:
            self._step, self._since = step, now
        return now - self._since > self._seconds


async def give_signs(
    systemd: Systemd, interval: float, *, ledger: Callable[[], Awaitable[None]], watching: Progress
) -> NoReturn:
    """Tell systemd's watchdog, which waits `interval` seconds at most, that all three get on.

    `ledger` returns when the ledger's thread has taken a turn.
    """
    stuck = False
    while True:
        await ledger()
        if not watching.stuck():
            systemd.watchdog()
            stuck = False
        elif not stuck:
            log.critical("the watching is stuck: systemd is to restart it")
            stuck = True
        await asyncio.sleep(interval / _SIGNS_AN_INTERVAL)
