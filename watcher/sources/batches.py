"""Which batches an Electrum server has under way, and how many questions it takes in them.

Fulcrum counts the questions of all batches under way and refuses what goes beyond its limit (345 by default,
for everybody at one network address). Such an error has no id, and does not say which batch it is about. But
a batch is either answered or refused: once as many were refused as have no answer, it is these.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from watcher.sources.jsonrpc import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

# From so many answers on a batch is large enough that ElectrumX does not hold it back.
LARGE_BATCH: Final = 30
_NO_LIMIT: Final = 1 << 30  # none is known


class Batches:
    """One connection's; `most` is how many questions may be under way in batches, 0 where it takes none."""

    def __init__(self) -> None:
        self.most = _NO_LIMIT
        self._under_way = 0
        self._left = asyncio.Event()
        self._unanswered: dict[range, int] = {}  # ids, and the questions that were under way with these
        self._refusals = 0

    @property
    def largest(self) -> int:
        """Questions in one batch; a small one has a companion beside them."""
        return min(self.most, MAX_BATCH) if self.most >= LARGE_BATCH else max(0, self.most - 1)

    @asynccontextmanager
    async def room(self, questions: int) -> AsyncIterator[bool]:
        """Within, so many are under way, once they may be; False where they never may."""
        while self._under_way and self._under_way + questions > self.most:
            self._left.clear()
            await self._left.wait()
        if questions > self.most:
            yield False
            return
        self._under_way += questions
        try:
            yield True
        finally:
            self._under_way -= questions
            self._left.set()

    def sent(self, ids: range) -> None:
        """A batch of these is on its way."""
        self._unanswered[ids] = self._under_way

    def answered(self, request_id: int) -> Sequence[range]:
        """Its batch was taken; those that are known by now to have been refused."""
        for ids in self._unanswered:
            if request_id in ids:
                del self._unanswered[ids]
                return self._refused() if self._refusals else ()
        return ()

    def refused(self) -> Sequence[range] | None:
        """One was refused; those that are known by now to be, None where there is none that could be."""
        if not self._unanswered:
            return None
        self._refusals += 1
        return self._refused()

    def _refused(self) -> Sequence[range]:
        if self._refusals < len(self._unanswered):
            return ()
        refused = tuple(self._unanswered)
        for under_way in self._unanswered.values():
            half = under_way // 2
            self.most = min(self.most, half if half > 1 else 0)
        self._unanswered.clear()
        self._refusals = 0
        return refused
