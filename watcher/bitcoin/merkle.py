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
    from collections.abc import Sequence

    from watcher.bitcoin.transactions import Transaction

# A block's 1,000,000 stripped bytes hold at most 16,666 transactions of 60 bytes, which is 15 levels.
MAX_DEPTH = 20

_NODE_PREIMAGE = 64


def fold(txid: str, index: int, siblings: Sequence[str]) -> str:
    """The root above `txid` at `index` in its row, from the siblings leaf to root, all in display order.

    `Malformed` for a branch that no tree has: too deep, an index beyond the row, an item that is no
    hash, a left sibling equal to its node.
    """
    if len(siblings) > MAX_DEPTH:
        raise Malformed(f"a branch of {len(siblings)} items: a block's tree has at most {MAX_DEPTH} levels")
    if type(index) is not int or not 0 <= index < 1 << len(siblings):
        raise Malformed(f"an index that a branch of {len(siblings)} items cannot have")
    node = _digest(txid)
    for sibling in siblings:
        other = _digest(sibling)
        if index & 1:
            if other == node:
                raise Malformed("a left sibling equal to its node: a second place for one transaction")
            node = sha256d(other + node)
        else:
            node = sha256d(node + other)
        index >>= 1
    return display(node)


def check_branch(tx: Transaction, index: int, siblings: Sequence[str], merkle_root: str) -> None:
    """Return if the branch shows `tx` at `index` under `merkle_root`, else raise `Malformed`."""
    if len(tx.stripped) == _NODE_PREIMAGE:
        raise Malformed("a transaction of 64 bytes could as well be an inner node: it proves nothing")
    if fold(tx.txid, index, siblings) != merkle_root:
        raise Malformed("the branch does not lead to the block's Merkle root")


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        raise Malformed("an item that is not hexadecimal") from None
    if len(digest) != 32 or len(text) != 64:
        raise Malformed("an item that is not 32 bytes")
    return digest[::-1]
