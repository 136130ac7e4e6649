"""Merkle branches: that a transaction is in a block, shown without the block.

Two flaws of the tree are closed here. A branch may not take an inner node for a transaction or the
reverse (CVE-2017-12842): a node is hashed from 64 bytes, so no transaction of 64 bytes is a leaf. And a
row of odd length repeats its last node to the right, so a node whose *left* sibling equals it is a
second place for the same transaction (CVE-2012-2459).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.bitcoin.hashing import display, sha256d
from watcher.bitcoin.types import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watcher.bitcoin.transactions import Transaction

# A block's 1,000,000 stripped bytes hold at most 16,666 transactions of 60 bytes, which is 15 levels.
MAX_DEPTH = 20

_NODE_PREIMAGE = 64


def fold(txid: str, index: int, siblings: Sequence[str]) -> str:
    """The root above `txid` at `index` in its row, from the siblings leaf to root, all in display order.

    `Malformed` for a branch that no tree has: too deep, an index beyond the row, an item that is no
    hash, a left sibling equal to its node.
    """
    *_, (_, root) = _upwards(txid, index, siblings)
    return display(root)


def check_branch(tx: Transaction, index: int, siblings: Sequence[str], merkle_root: str) -> None:
    """Return if the branch shows `tx` at `index` under `merkle_root`, else raise `Malformed`."""
    Tree(merkle_root).check(tx, index, siblings)


class Tree:
    """A block's tree as far as branches have shown it: those of neighbours are the same from some node on.

    What is above that node is compared and not hashed again: with the same siblings it leads to the root.
    """

    def __init__(self, merkle_root: str) -> None:
        self._root = _digest(merkle_root)
        self._shown: dict[int, tuple[bytes, Sequence[str]]] = {}  # by number: the node, and what is above

    def check(self, tx: Transaction, index: int, siblings: Sequence[str]) -> None:
        """Return if the branch shows `tx` at `index`, else raise `Malformed`."""
        if len(tx.stripped) == _NODE_PREIMAGE:
            raise Malformed("a transaction of 64 bytes could as well be an inner node: it proves nothing")
        news: dict[int, tuple[bytes, Sequence[str]]] = {}
        for level, (number, node) in enumerate(_upwards(tx.txid, index, siblings)):
            here = node, siblings[level:]
            if self._shown.get(number) == here:
                break
            news[number] = here
        else:
            if node != self._root:
                raise Malformed("the branch does not lead to the block's Merkle root")
        self._shown |= news


def _upwards(txid: str, index: int, siblings: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """The branch's nodes from leaf to root, each after its number: the root is 1, under n are 2n and 2n+1."""
    if len(siblings) > MAX_DEPTH:
        raise Malformed(f"a branch of {len(siblings)} items: a block's tree has at most {MAX_DEPTH} levels")
    if type(index) is not int or not 0 <= index < 1 << len(siblings):
        raise Malformed(f"an index that a branch of {len(siblings)} items cannot have")
    number = 1 << len(siblings) | index
    node = _digest(txid)
    yield number, node
    for sibling in siblings:
        other = _digest(sibling)
        if number & 1:
            if other == node:
                raise Malformed("a left sibling equal to its node: a second place for one transaction")
            node = sha256d(other + node)
        else:
            node = sha256d(node + other)
        number >>= 1
        yield number, node


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        raise Malformed("an item that is not hexadecimal") from None
    if len(digest) != 32 or len(text) != 64:
        raise Malformed("an item that is not 32 bytes")
    return digest[::-1]
