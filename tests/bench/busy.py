"""The first reading of one address with a long history, from a server in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.place import Script, Watched
from tests.bench.starting import bare_started, ours_started, row_of_starts
from tests.toy.chain import FAUCET, ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Outpoint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.result import Row

_BUSY: Final = b"\x00\x14" + bytes(19) + b"\x01"
_A_BLOCK: Final = 500
_SATS: Final = 1_000


async def busy(folder: Path, *, transactions: int, repeats: int) -> Row:
    """Every transaction is fetched and proven; ElectrumX refuses so long a history with its usual limits."""
    address = encode_address(_BUSY, Network.REGTEST)
    assert address is not None
    async with ToyElectrum(_chain(transactions)) as server:
        watched = Watched(folder, server.url, [Script(scripthash(_BUSY), address)])
        pairs = [
            (
                await ours_started(watched, f"state {number}"),
                await bare_started(server.port, watched, transactions=transactions),
            )
            for number in range(repeats)
        ]
    return row_of_starts(
        f"first reading of one address with {transactions:,} transactions",
        pairs,
        "history, transactions, branches",
    )


def _chain(transactions: int) -> ToyChain:
    """So many payments to the address, each of a coin of its own."""
    chain = ToyChain()
    fan = Tx((Outpoint(chain.blocks[1].txids[0], 0),), ((FAUCET, 2 * _SATS),) * transactions)
    chain.mine(txs=[chain.know(fan)])
    paid = [chain.know(Tx((Outpoint(fan.txid, vout),), ((_BUSY, _SATS),))) for vout in range(transactions)]
    for at in range(0, transactions, _A_BLOCK):
        chain.mine(txs=paid[at : at + _A_BLOCK])
    return chain
