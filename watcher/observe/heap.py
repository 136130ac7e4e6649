"""Keeps the garbage collector from looking, again and again, at what a long reading piles up.

80,000 transactions are a million objects, none of them garbage. Looking at them all stops every thread for
tenths of a second each time, and the collector does it whenever their number has grown by a quarter.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEVER: Final = 2**31 - 1  # looks of the middle kind between two at everything
_found: Final[list[tuple[int, int, int]]] = []  # one for each who reads: the thresholds that were in force


@contextmanager
def piling_up() -> Iterator[None]:
    """Meanwhile what has outlived two looks is looked at no more; afterwards all is looked at as before.

    What is freed by its count alone, as almost everything is, is freed as ever. What the program set apart
    for good stays apart.
    """
    _found.append(gc.get_threshold())
    young, middle, _ = _found[0]
    gc.set_threshold(young, middle, _NEVER)
    try:
        yield
    finally:
        before = _found[0]
        _found.pop()
        if not _found:  # nobody else reads
            gc.set_threshold(*before)
