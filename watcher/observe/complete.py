"""How far a treasury is known to have been read, and by whose word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from watcher.bitcoin.types import BlockRef
    from watcher.observe.our_chain import OurChain

BEHIND: Final = 1  # blocks: a source that has not heard of the newest one yet is not behind


@dataclass(frozen=True, slots=True)
class Complete:
    """The last block at which every script of a treasury is known to have been read, when, from whom.

    `height` is that of the source's tip then: one that announces nothing, and is asked piece by piece, is not
    behind for what it was not asked for since. `beside` is our tip, where the source is on a branch of the
    same work: until ours has more, it is not behind.
    """

    block: BlockRef
    at_ms: int
    sources: tuple[str, ...]
    height: int
    beside: BlockRef | None = None

    def is_near(self, tip: BlockRef) -> bool:
        """Whether it counts while that is our tip."""
        return self.beside == tip or tip.height - self.height <= BEHIND


def together(
    chain: OurChain, words: Iterable[Complete], suffices: Callable[[Collection[str]], bool]
) -> Complete | None:
    """What these sources' words make together, the newest first; None while they are not enough."""
    near = [word for word in words if word.is_near(chain.tip) and chain.has(word.block)]
    taken: list[Complete] = []
    for word in sorted(near, key=lambda w: w.at_ms, reverse=True):
        taken.append(word)
        names = {name for one in taken for name in one.sources}
        if suffices(names):
            block = min((one.block for one in taken), key=lambda b: b.height)
            at_ms = min(one.at_ms for one in taken)
            return Complete(block, at_ms, tuple(sorted(names)), min(one.height for one in taken))
    return None
