"""The honest answers of an Electrum server over a toy chain, and the faults that bend them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tests.toy.faults import error

if TYPE_CHECKING:
    from tests.toy.chain import ToyChain
    from tests.toy.faults import Faults
    from watcher.bitcoin.types import ScriptHash, Txid

MAX_HEADERS = 2016


class Answers:
    """A chain as a server with these faults shows it."""

    def __init__(self, chain: ToyChain, faults: Faults) -> None:
        self._chain = chain
        self._faults = faults

    @property
    def height(self) -> int:
        """The tip it admits to."""
        frozen = self._faults.tip_height
        return self._chain.height if frozen is None else min(frozen, self._chain.height)

    def tip(self) -> dict[str, Any]:
        """`blockchain.headers.subscribe`."""
        return {"height": self.height, "hex": self._chain.blocks[self.height].header.hex()}

    def header(self, height: int) -> str:
        """`blockchain.block.header`."""
        if not 0 <= height <= self.height:
            raise error(1, f"height {height:,d} out of range")
        return self._chain.blocks[height].header.hex()

    def headers(self, start: int, count: int, *, as_list: bool) -> dict[str, Any]:
        """`blockchain.block.headers`, in the form of 1.6 or of 1.4."""
        end = min(start + min(count, MAX_HEADERS), self.height + 1)
        headers = [block.header.hex() for block in self._chain.blocks[start:end]]
        form: dict[str, Any] = {"headers": headers} if as_list else {"hex": "".join(headers)}
        return {"count": len(headers), "max": MAX_HEADERS, **form}

    def history(self, script: ScriptHash) -> list[dict[str, Any]]:
        """`blockchain.scripthash.get_history`."""
        lines = []
        for txid, height in self._chain.history(script):
            if txid not in self._faults.omitted and height <= self.height:
                line: dict[str, Any] = {"tx_hash": txid, "height": height}
                lines.append(line if height > 0 else {**line, "fee": 200})
        lines += [
            {"tx_hash": txid, "height": 0, "fee": 200}
            for txid, fake in self._faults.fakes.items()
            if script in self._chain.scripts_of(fake) and self._chain.height_of(txid) is None
        ]
        return lines

    def status(self, script: ScriptHash) -> str | None:
        """The status hash of that history."""
        lines = self.history(script)
        text = "".join(f"{line['tx_hash']}:{line['height']}:" for line in lines)
        return sha256(text.encode()).hexdigest() if lines else None

    def transaction(self, txid: Txid) -> str:
        """`blockchain.transaction.get`, as ElectrumX passes on its node's refusal."""
        chain = self._chain
        if txid in self._faults.fakes:
            return self._faults.fakes[txid].raw.hex()
        known = txid in chain.mempool or chain.height_of(txid) is not None
        if not known or txid in self._faults.omitted:
            raise error(
                2, "daemon error: DaemonError({'code': -5, 'message': 'No such mempool or blockchain ...'})"
            )
        return chain.transactions[txid].raw.hex()

    def merkle(self, txid: Txid, height: int) -> dict[str, Any]:
        """`blockchain.transaction.get_merkle`."""
        found = self._chain.branch(txid, height)
        if found is None or height > self.height or txid in self._faults.omitted:
            raise error(1, f"tx {txid} not in block at height {height:,d}")
        index, siblings = found
        if self._faults.forged_branches:
            siblings = [sha256(one.encode()).hexdigest() for one in siblings] or ["11" * 32]
        return {"block_height": height, "merkle": siblings, "pos": index}
