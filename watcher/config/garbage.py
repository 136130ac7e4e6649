"""A long list is 100,000 new objects and no garbage: the collector must not look through them."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_paused() -> Iterator[None]:
    """While a list is made or compared, looking for garbage would take a fifth of the time.

    Each look would stop every thread. What is left of a list at the end is of kinds that the collector
    does not look at, so nothing need be set apart, and what is garbage by then is found as ever.
    """
    was_running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_running:
            gc.enable()
