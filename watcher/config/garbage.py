"""A long list is 100,000 new objects and no garbage: the collector must not look through them."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_paused(*, keeps: bool = False) -> Iterator[None]:
    """While a list is made or compared, looking for garbage would take a fifth of the time.

    One look through a list that stays (`keeps`) would hold every thread up for a quarter of a second, so
    what is there at the end is set apart. It has no cycles: it goes when nobody refers to it any more.
    """
    was_running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if keeps:
            gc.freeze()
        if was_running:
            gc.enable()
