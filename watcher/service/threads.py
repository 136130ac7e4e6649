"""The event loop's own threads, which must not hold up its end.

A name is looked up by the C library, in such a thread, and nothing can interrupt it: a resolver that does not
answer takes half a minute, and longer.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor


class PatientThreads(ThreadPoolExecutor):
    """An executor whose end waits for what still runs no longer than `patience`, in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._begun: list[threading.Thread] = []
        super().__init__(thread_name_prefix="asyncio", initializer=self._begin)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Take nothing more, and wait for what was taken, for so long."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        until = time.monotonic() + self._patience
        for thread in self._begun if wait else ():
            thread.join(max(0.0, until - time.monotonic()))

    def _begin(self) -> None:
        self._begun.append(threading.current_thread())
