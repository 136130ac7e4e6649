"""Large answers are read, and made sense of, beside the event loop, one at a time.

What is read takes several times the memory of its bytes: however many sources answer at once, only one
answer is in that state.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Items of which some 10 ms are made; a thread of its own would cost few more than it spares.
_MANY: Final = 2_000
_READER: Final = ThreadPoolExecutor(1, thread_name_prefix="large answers")


async def aside(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done when it is its turn."""
    return await asyncio.get_running_loop().run_in_executor(_READER, work)


async def aside_if_many(items: int, work: Callable[[], T]) -> T:
    """The same, at once where there is little to do."""
    return work() if items <= _MANY else await aside(work)
