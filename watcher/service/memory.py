"""Memory given back when it is free: what a large answer took must not stay with the process."""

from __future__ import annotations

import ctypes
from typing import Final

# of the GNU C library, in its malloc.h
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE: Final = 1 << 20
_ARENAS: Final = 2


def give_back_large_blocks() -> None:
    """Blocks from a megabyte on are mapped one by one; nothing happens where the C library is not glibc.

    Left alone, glibc raises that bound to the largest block ever freed (up to 32 MB), and from then on
    cuts such blocks out of its heap, which does not shrink; with many threads it has many heaps.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, _ARENAS)


def give_back_what_is_free() -> None:
    """Pages of free blocks, wherever they lie; nothing happens where the C library is not glibc.

    By itself glibc gives back only what is free at the end of its heap.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
