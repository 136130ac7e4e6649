"""The scripts that one connection tells us of, and which of its notifications are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watcher.sources.base import Misbehaved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.bitcoin.types import ScriptHash

# 4 per script and tip is what a chain does, and a busy script's mempool more. Beyond it the connection ends,
# and the next asks for every status once. No blame: who pays a long list often makes a server say so much.
_MANY: Final = 10_000


class Subscriptions:
    """None at first; `len` is how many."""

    def __init__(self) -> None:
        self._watched: set[ScriptHash] = set()
        self._forgotten: set[ScriptHash] = set()
        self._notified = 0

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, scripthashes: Iterable[ScriptHash]) -> None:
        """Expect notifications for these, from before they are asked for."""
        self._watched.update(scripthashes)
        self._forgotten.difference_update(scripthashes)

    def forget(self, scripthashes: Iterable[ScriptHash]) -> None:
        """Expect none any more; those under way, or of a server that cannot forget, are ignored."""
        self._forgotten.update(self._watched.intersection(scripthashes))
        self._watched.difference_update(scripthashes)

    def new_tip(self) -> None:
        """A block has come: everything may change again."""
        self._notified = 0

    def is_due(self, scripthash: ScriptHash) -> bool:
        """Whether this notification is one to look at; `Misbehaved` where no honest server sends it.

        `Unavailable` where there are too many.
        """
        if scripthash not in self._watched:
            if scripthash in self._forgotten:
                return False
            raise Misbehaved("unsolicited", "a notification for a script nobody watches")
        self._notified += 1
        if self._notified > max(_MANY, 4 * len(self._watched)):
            raise Unavailable(f"{self._notified} notifications since the last header")
        return True
