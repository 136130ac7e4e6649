"""Wakes whoever waits for the log to grow."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung when something was committed.

    Who wants to miss nothing takes `next` before looking, and waits for it after having seen nothing new.
    """

    def __init__(self) -> None:
        self.next = asyncio.Event()

    def ring(self) -> None:
        """Wake all that wait; those that come later wait for the next time."""
        self.next.set()
        self.next = asyncio.Event()
