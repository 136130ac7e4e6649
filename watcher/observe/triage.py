"""Which of the scripts that are to be read at a source come first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash

SCRIPTS_A_COMMIT: Final = 200  # histories read between two commits: progress shows, and little is lost


class Triage:
    """One source's: what is dirty is read a part at a time.

    Never together are scripts that were read before, which come first, and others: an alarm waits neither
    for a long past nor for one that cannot be read. What could not be read is tried again when it rings, or
    when all the rest has been tried.
    """

    def __init__(self) -> None:
        self._tried: set[ScriptHash] = set()  # and not read, since something was last left to be read
        self._pressed = False  # the last part was of scripts that were read before
        self._is_last = True  # the last part was of all that could be read

    def part(
        self,
        dirty: set[ScriptHash],
        rang: AbstractSet[ScriptHash],
        *,
        unread: set[ScriptHash],
        in_hand: set[ScriptHash],
    ) -> list[ScriptHash]:
        """What is read now, first what rang; empty where nothing is left to be tried.

        `unread` are those never read before. What of them another source has in hand is left to it: perhaps
        its word will do.
        """
        self._tried -= rang
        ready = dirty.difference(self._tried, in_hand)
        # what is unsettled is dirty again with each ring: of two parts one is the others'
        before = ready - unread
        now = ready - before if not before or (self._pressed and ready > before) else before
        self._pressed = now is before
        part = [*islice(now & rang, SCRIPTS_A_COMMIT)]
        part += islice((script for script in now if script not in rang), SCRIPTS_A_COMMIT - len(part))
        self._is_last = len(ready) == len(part)
        if not part:
            self._begin_again()
        return part

    def tried(self, part: Collection[ScriptHash], dirty: set[ScriptHash]) -> bool:
        """The part is read, but for what is still dirty; whether there is another at once."""
        self._tried |= dirty.intersection(part)
        if self._is_last:
            self._begin_again()
        return not self._is_last

    def _begin_again(self) -> None:
        self._tried.clear()
        self._pressed = False
