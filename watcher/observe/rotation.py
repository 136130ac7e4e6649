"""Asks for a list of scripts piece by piece, so that the whole has its turn within a given time."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from watcher.bitcoin.types import ScriptHash


class Rotation:
    """The pieces in the order of their turns, and when (Unix ms) and at which height each was asked for."""

    def __init__(self, scripts: Collection[ScriptHash], pieces: int, asked_ms: int, height: int) -> None:
        ordered = sorted(scripts)
        size = max(1, ceil(len(ordered) / pieces))
        self._pieces = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        # a list without a script is one empty piece
        self._asked = [(asked_ms, height)] * max(1, len(self._pieces))
        self._next = 0

    def turn(self, now_ms: int, height: int) -> list[ScriptHash]:
        """The piece whose turn it is."""
        self._asked[self._next] = (now_ms, height)
        if not self._pieces:
            return []
        piece = self._pieces[self._next]
        self._next = (self._next + 1) % len(self._pieces)
        return piece

    def reorganized(self, fork: int) -> None:
        """What was asked for at a block above this height was asked of another chain."""
        self._asked = [(ms, min(height, fork)) for ms, height in self._asked]

    @property
    def since_ms(self) -> int:
        """Since when everything has been asked for at least once."""
        return min(ms for ms, _ in self._asked)

    @property
    def since_height(self) -> int:
        """The height of the block at which, or later, everything was asked for."""
        return min(height for _, height in self._asked)


def pieces(bound_seconds: float, reread_seconds: float) -> int:
    """In how many pieces a list is asked for, one a re-read, to take no less than the bound."""
    return max(1, ceil(bound_seconds / reread_seconds))
