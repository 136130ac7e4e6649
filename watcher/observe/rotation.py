"""Asks for a list of scripts piece by piece, so that the whole has its turn within a given time."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from watcher.bitcoin.types import ScriptHash


class Rotation:
    """The pieces, in the order of their turns, and when each was asked for last (Unix milliseconds)."""

    def __init__(self, scripts: Collection[ScriptHash], pieces: int, asked_ms: int) -> None:
        ordered = sorted(scripts)
        size = max(1, ceil(len(ordered) / pieces))
        self._pieces = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        self._asked_ms = [asked_ms] * len(self._pieces)
        self._begun_ms = asked_ms
        self._next = 0

    def turn(self, now_ms: int) -> list[ScriptHash]:
        """The piece whose turn it is."""
        if not self._pieces:
            self._begun_ms = now_ms
            return []
        piece = self._pieces[self._next]
        self._asked_ms[self._next] = now_ms
        self._next = (self._next + 1) % len(self._pieces)
        return piece

    @property
    def since_ms(self) -> int:
        """Since when everything has been asked for at least once."""
        return min(self._asked_ms, default=self._begun_ms)


def pieces(bound_seconds: float, reread_seconds: float) -> int:
    """In how many pieces a list is asked for, one a re-read, to take no less than the bound."""
    return max(1, ceil(bound_seconds / reread_seconds))
