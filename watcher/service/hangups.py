"""A SIGHUP that comes while the daemon starts, when there is nothing to reload yet.

Apart from the other signals, and without asyncio: it has to be in place before anything that loads slowly.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class EarlyHangup:
    """A signal handler that only notes that its signal came; `signals_caught` acts on it."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Note it."""
        self.came = True


def note_hangups() -> None:
    """From now on SIGHUP does not end the process, and is not lost."""
    signal.signal(signal.SIGHUP, EarlyHangup())
