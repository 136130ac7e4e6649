"""A long history is taken up in slices: each is fetched, shown to be so, committed, and let go.

However long histories are, what is held of them is a few bytes a line, and the transactions of two slices:
one is committed while the next is fetched. A slice is of whole blocks, the lowest first and of all histories
together, so that a coin is always known before what spends it. What is in no block comes last.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import merge
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Final

from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Claim

A_SLICE: Final = 2_000  # transactions: some 10 MB while they are fetched, proven and committed
# 4,000,000 units of weight, and 240 for the smallest transaction
MOST_IN_A_BLOCK: Final = 16_666
_STRIDE: Final = 100  # lines, between two looks at how full a block is


def slices(
    histories: Mapping[ScriptHash, Sequence[Claim]],
) -> Iterator[dict[ScriptHash, list[Claim]]]:
    """These histories, in slices. `Misbehaved` for more than fits into a block."""
    for history in histories.values():
        _check_blocks(history)
    in_blocks = {script: _in_blocks(history) for script, history in histories.items()}
    piece: dict[ScriptHash, list[Claim]] = {}
    lines = 0
    everything = merge(
        *(_lines(script, histories[script], range(count)) for script, count in in_blocks.items()), key=_height
    )
    for _, block in groupby(everything, key=_height):
        for script, claim in block:
            piece.setdefault(script, []).append(claim)
            lines += 1
        if lines >= A_SLICE:
            yield piece
            piece, lines = {}, 0
    if piece:
        yield piece
    loose = chain.from_iterable(
        _lines(script, history, range(in_blocks[script], len(history)))
        for script, history in histories.items()
    )
    while some := list(islice(loose, A_SLICE)):
        piece = {}
        for script, claim in some:
            piece.setdefault(script, []).append(claim)
        yield piece


def _check_blocks(history: Sequence[Claim]) -> None:
    """A slice is small because a block is: what is told of one has to fit into it, or nearly so."""
    apart = MOST_IN_A_BLOCK + _STRIDE
    for at in range(apart, len(history), _STRIDE):
        height = history[at].height
        if height is not None and height == history[at - apart].height:
            raise Misbehaved("history", f"more transactions in block {height} than fit into one")


def _in_blocks(history: Sequence[Claim]) -> int:
    """How many lines are in blocks, which come first."""
    return bisect_left(history, True, key=lambda claim: claim.height is None)


def _lines(script: ScriptHash, history: Sequence[Claim], which: range) -> Iterator[tuple[ScriptHash, Claim]]:
    return ((script, history[at]) for at in which)


def _height(line: tuple[ScriptHash, Claim]) -> int:
    return line[1].height or 0
