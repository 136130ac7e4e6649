"""A long history is taken up in slices: each is fetched, shown to be so, committed, and let go.

However long histories are, what is held of them is a few bytes a line, and the transactions of two slices:
one is committed while the next is fetched. A slice is of whole blocks, the lowest first and of all histories
together, so that a coin is always known before what spends it. What is in no block comes last.

Of a source whose budget is small a slice is smaller too: it is what a stop loses, and for how long nothing
else is asked there.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import merge
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.headers import PERIOD
from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Claim

A_SLICE: Final = 2_000  # transactions: some 10 MB while they are fetched, proven and committed
SECONDS_A_SLICE: Final = 300.0  # of questions, where they are counted
# 4,000,000 units of weight, and 240 for the smallest transaction
MOST_IN_A_BLOCK: Final = 16_666
_STRIDE: Final = 100  # lines, between two looks at how full a block is


def a_slice(seconds_each: float) -> int:
    """How many transactions are a slice where a question takes so long in the long run."""
    return A_SLICE if seconds_each == 0 else max(1, min(A_SLICE, int(SECONDS_A_SLICE / seconds_each)))


def slices(
    histories: Mapping[ScriptHash, Sequence[Claim]], size: int = A_SLICE
) -> Iterator[dict[ScriptHash, list[Claim]]]:
    """These histories, in slices of so many and what else is in the last block.

    A slice of fewer than `A_SLICE` ends with a period of headers: an old one is asked for as a whole.
    `Misbehaved` for more than fits into a block.
    """
    for history in histories.values():
        _check_blocks(history)
    in_blocks = {script: _in_blocks(history) for script, history in histories.items()}
    piece: dict[ScriptHash, list[Claim]] = {}
    lines = 0
    everything = merge(
        *(_lines(script, histories[script], range(count)) for script, count in in_blocks.items()), key=_height
    )
    period = 0
    for height, block in groupby(everything, key=_height):
        if piece and size < A_SLICE and height // PERIOD != period:
            yield piece
            piece, lines = {}, 0
        period = height // PERIOD
        for script, claim in block:
            piece.setdefault(script, []).append(claim)
            lines += 1
        if lines >= size:
            yield piece
            piece, lines = {}, 0
    if piece:
        yield piece
    loose = chain.from_iterable(
        _lines(script, history, range(in_blocks[script], len(history)))
        for script, history in histories.items()
    )
    while some := list(islice(loose, size)):
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
