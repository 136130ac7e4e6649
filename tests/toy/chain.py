"""A regtest chain in Python: real headers, trees and transactions; scripts are never run.

The verbs are those of the tests on a real node: pay, spend, replace, drop, mine, reorg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.toy.coding import NULL, Block, Tx, merkle_branch, mined, scripthash
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.types import BlockRef, Outpoint, Txid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watcher.bitcoin.types import ScriptHash

FAUCET = b"\x51"
MATURITY = 100
FEE = 200
_GENESIS = PARAMS[Network.REGTEST]
_GENESIS_COINBASE = Txid("4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b")


class ToyChain:
    """The active chain, the mempool, and every transaction there ever was."""

    def __init__(self, blocks: int = MATURITY + 10) -> None:
        self.blocks = [Block(_GENESIS.genesis_header, (_GENESIS_COINBASE,))]
        self.transactions: dict[Txid, Tx] = {}
        self.mempool: dict[Txid, None] = {}
        self.listeners: list[Callable[[], None]] = []
        self._places: dict[Txid, tuple[int, int]] = {}
        self._touching: dict[ScriptHash, dict[Txid, None]] = {}
        self._spenders: dict[Outpoint, set[Txid]] = {}
        self._coinbases = 0
        self.mine(blocks)

    # -- verbs ------------------------------------------------------------------------------------

    def pay(self, script: bytes, sats: int) -> Txid:
        """An unconfirmed payment from somebody else."""
        for coin in self._faucet_coins():
            have = self.output(coin)[1]
            if have >= sats + FEE:
                return self.spend([coin], [(script, sats), (FAUCET, have - sats - FEE)])
        raise AssertionError("the faucet has no coin that is large and old enough: mine more blocks")

    def spend(self, coins: Iterable[Outpoint], outputs: Sequence[tuple[bytes, int]]) -> Txid:
        """An unconfirmed transaction; what is left over is the fee."""
        tx = Tx(tuple(coins), tuple(outputs))
        for coin in tx.inputs:
            assert not self.spender(coin), f"{coin} is spent already"
        assert sum(self.output(coin)[1] for coin in tx.inputs) >= sum(sats for _, sats in outputs)
        self._know(tx)
        self.mempool[tx.txid] = None
        self._changed()
        return tx.txid

    def replace(self, txid: Txid, outputs: Sequence[tuple[bytes, int]]) -> Txid:
        """The same coins spent otherwise; the old transaction and its children are gone."""
        old = self.transactions[txid]
        self._forget_unconfirmed(txid)
        return self.spend(old.inputs, outputs)

    def drop(self, txid: Txid) -> None:
        """The mempool forgets it and its children."""
        self._forget_unconfirmed(txid)
        self._changed()

    def send_again(self, txid: Txid) -> None:
        """Into the mempool, from which it was dropped."""
        self.mempool[txid] = None
        self._changed()

    def mine(self, count: int = 1, txs: Iterable[Txid] | None = None) -> BlockRef:
        """So many blocks, the first with these transactions (default: the mempool); the new tip."""
        chosen = tuple(self.mempool if txs is None else txs)
        for _ in range(count):
            self._connect(chosen)
            chosen = ()
        self._changed()
        return self.tip

    def reorg(self, depth: int, keep: Iterable[Txid] = ()) -> BlockRef:
        """A branch one block longer, `keep` in its first block; the rest is unconfirmed again."""
        for _ in range(depth):
            self._disconnect()
        chosen = tuple(keep)
        for _ in range(depth + 1):
            self._connect(chosen)
            chosen = ()
        self._changed()
        return self.tip

    def know(self, tx: Tx) -> Txid:
        """A transaction of the test's own making, in no block and no mempool yet: mine it by its id."""
        self._know(tx)
        return tx.txid

    # -- questions --------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """The tip's height."""
        return len(self.blocks) - 1

    @property
    def tip(self) -> BlockRef:
        """The last block."""
        return BlockRef(self.height, self.blocks[-1].hash)

    def output(self, coin: Outpoint) -> tuple[bytes, int]:
        """Script and satoshis."""
        return self.transactions[coin.txid].outputs[coin.vout]

    def spender(self, coin: Outpoint) -> Txid | None:
        """Who spends it, in a block or in none."""
        for txid in self._spenders.get(coin, ()):
            if txid in self._places or txid in self.mempool:
                return txid
        return None

    def unspent(self, script: bytes) -> dict[Outpoint, int]:
        """All coins of a script, unconfirmed ones too."""
        coins = {}
        for txid in self._touching.get(scripthash(script), ()):
            if txid in self._places or txid in self.mempool:
                for vout, (to, sats) in enumerate(self.transactions[txid].outputs):
                    if to == script and self.spender(coin := Outpoint(txid, vout)) is None:
                        coins[coin] = sats
        return coins

    def height_of(self, txid: Txid) -> int | None:
        """In which block, if any."""
        place = self._places.get(txid)
        return None if place is None else place[0]

    def history(self, script: ScriptHash) -> list[tuple[Txid, int]]:
        """Electrum's: confirmed in chain order, then 0, and -1 where a parent is unconfirmed."""
        touching = self._touching.get(script, {})
        confirmed = sorted((self._places[txid], txid) for txid in touching if txid in self._places)
        unconfirmed = [txid for txid in self.mempool if txid in touching]
        return [(txid, place[0]) for place, txid in confirmed] + [
            (txid, -1 if self._has_unconfirmed_parent(txid) else 0) for txid in unconfirmed
        ]

    def scripts_of(self, tx: Tx) -> set[ScriptHash]:
        """What it pays and, of coins there are, what it spends from."""
        spent = [self.output(coin)[0] for coin in tx.inputs if coin.txid in self.transactions]
        return {scripthash(script) for script in [*spent, *(script for script, _ in tx.outputs)]}

    def branch(self, txid: Txid, height: int) -> tuple[int, list[str]] | None:
        """The place in that block and the siblings, or None if it is not in it."""
        if not 0 <= height < len(self.blocks) or txid not in self.blocks[height].txids:
            return None
        index = self.blocks[height].txids.index(txid)
        return index, merkle_branch(self.blocks[height].txids, index)

    # -- within -----------------------------------------------------------------------------------

    def _faucet_coins(self) -> Iterable[Outpoint]:
        for txid, (height, _index) in list(self._places.items()):
            tx = self.transactions[txid]
            if not tx.is_coinbase or height + MATURITY <= self.height + 1:
                for vout, (script, _sats) in enumerate(tx.outputs):
                    if script == FAUCET and self.spender(Outpoint(txid, vout)) is None:
                        yield Outpoint(txid, vout)

    def _know(self, tx: Tx) -> None:
        self.transactions[tx.txid] = tx
        scripts = [script for script, _sats in tx.outputs]
        for coin in tx.inputs:
            if coin != NULL:
                self._spenders.setdefault(coin, set()).add(tx.txid)
                scripts.append(self.output(coin)[0])
        for script in scripts:
            self._touching.setdefault(scripthash(script), {})[tx.txid] = None

    def _forget_unconfirmed(self, txid: Txid) -> None:
        self.mempool.pop(txid, None)
        for vout in range(len(self.transactions[txid].outputs)):
            for child in self._spenders.get(Outpoint(txid, vout), ()):
                if child in self.mempool:
                    self._forget_unconfirmed(child)

    def _connect(self, chosen: Sequence[Txid]) -> None:
        height = len(self.blocks)
        self._coinbases += 1  # no two coinbases alike, on rival branches either
        script_sig = b"\x03" + height.to_bytes(3, "little") + b"\x08" + self._coinbases.to_bytes(8, "little")
        coinbase = Tx((NULL,), ((FAUCET, 50 * 100_000_000 >> height // 150),), script_sig)
        self._know(coinbase)
        txids = (coinbase.txid, *chosen)
        # one second a block: any order of heights and times a rule could ask for holds
        time = int.from_bytes(self.blocks[-1].header[68:72], "little") + 1
        self.blocks.append(mined(self.blocks[-1].hash, time, txids))
        for index, txid in enumerate(txids):
            self._places[txid] = (height, index)
            self.mempool.pop(txid, None)
            for coin in self.transactions[txid].inputs:
                for rival in self._spenders.get(coin, set()) - {txid}:
                    if rival in self.mempool:
                        self._forget_unconfirmed(rival)

    def _disconnect(self) -> None:
        block = self.blocks.pop()
        back = {txid: None for txid in block.txids if not self.transactions[txid].is_coinbase}
        for txid in block.txids:
            del self._places[txid]
        self.mempool = back | self.mempool
        self._forget_unconfirmed(block.txids[0])

    def _has_unconfirmed_parent(self, txid: Txid) -> bool:
        return any(coin.txid in self.mempool for coin in self.transactions[txid].inputs)

    def _changed(self) -> None:
        for listener in self.listeners:
            listener()
