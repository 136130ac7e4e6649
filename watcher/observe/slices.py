"""A long history is taken up in slices: each is fetched, shown to be so, committed, and let go.

However long histories are, what is held of them is a few bytes a line, and the transactions of two slices:
one is committed while the next is fetched. A slice is of whole blocks, the lowest first and of all histories
together, so that a coin is always known before what spends it.
"""

from __future__ import annotations

from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Final

from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Claim

A_SLICE: Final = 2_000  # transactions: some 10 MB while they are fetched, proven and committed
# 4,000,000 units of weight, and 240 for the smallest transaction
MOST_IN_A_BLOCK: Final = 16_666
_STRIDE: Final = 100  # lines, between two looks at how full a block is


def slices(
    histories: Mapping[ScriptHash, Sequence[Claim]],
) -> Iterator[dict[ScriptHash, list[Claim]]]:
    """What these histories have in blocks, in slices. `Misbehaved` for more than fits into a block."""
    for history in histories.values():
        _check_blocks(history)
    piece: dict[ScriptHash, list[Claim]] = {}
    lines = 0
    everything = merge(*(_in_blocks(*one) for one in histories.items()), key=_height)
    for _, block in groupby(everything, key=_height):
        for _, script, claim in block:
            piece.setdefault(script, []).append(claim)
            lines += 1
        if lines >= A_SLICE:
            yield piece
            piece, lines = {}, 0
    if piece:
        yield piece


def _check_blocks(history: Sequence[Claim]) -> None:
    """A slice is small because a block is: what is told of one has to fit into it, or nearly so."""
    apart = MOST_IN_A_BLOCK + _STRIDE
    for at in range(apart, len(history), _STRIDE):
        height = history[at].height
        if height is not None and height == history[at - apart].height:
            raise Misbehaved("history", f"more transactions in block {height} than fit into one")


def _in_blocks(script: ScriptHash, history: Iterable[Claim]) -> Iterator[tuple[int, ScriptHash, Claim]]:
    return ((claim.height, script, claim) for claim in history if claim.height is not None)


def _height(line: tuple[int, ScriptHash, Claim]) -> int:
    return line[0]
