"""A script with a very long history, on a toy chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.toy.chain import FAUCET, FEE, ToyChain
from tests.toy.coding import Tx
from watcher.bitcoin.types import Outpoint

if TYPE_CHECKING:
    from watcher.bitcoin.types import Txid

PAID: Final = 600  # satoshis, each
A_BLOCK: Final = 800  # of its transactions in each block


def busy_chain(script: bytes, transactions: int) -> ToyChain:
    """A chain on which so many transactions pay the script, `A_BLOCK` of them a block."""
    chain = ToyChain()
    coin = next(coin for coin in chain.unspent(FAUCET) if chain.height_of(coin.txid) == 1)
    many = chain.know(Tx((coin,), ((FAUCET, PAID + FEE),) * transactions))
    chain.mine(1, [many])
    paid: list[Txid] = []
    for vout in range(transactions):
        paid.append(chain.know(Tx((Outpoint(many, vout),), ((script, PAID),))))
        if len(paid) == A_BLOCK:
            chain.mine(1, paid)
            paid = []
    chain.mine(1, paid)
    return chain
