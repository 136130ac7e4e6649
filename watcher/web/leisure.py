"""Long answers give way: what a client takes page by page holds up neither commits nor other readers.

A page is read and written on a thread, and holds the interpreter meanwhile; pages without a break would be
felt by everything that arrives.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from watcher.web.backend import Backend

T = TypeVar("T")

PAGE: Final = 200  # rows: a few milliseconds
_PAUSE: Final = 3  # times as long as the read took, waiting included: under load it gives way more
_LONGEST: Final = 0.1  # seconds: a million rows have ended within minutes even so


async def read(backend: Backend, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` returns, after a pause for everybody else."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await backend.read(work)
    await asyncio.sleep(min(_PAUSE * (loop.time() - began), _LONGEST))
    return found
