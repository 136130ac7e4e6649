"""A small Bitcoin in memory: blocks, a mempool, and everything that can happen to a transaction.

It keeps only the rules that decide what a watcher may see: a coin is spent once, a parent comes before
its child, a branch replaces another whole, a mempool holds no conflicts. Nothing here is shared with the
code under test but the parser and the hashes.
"""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watcher.bitcoin.headers import header_hash
from watcher.bitcoin.transactions import Transaction, parse_transaction
from watcher.bitcoin.types import BlockHash, BlockRef, Outpoint, Txid

if TYPE_CHECKING:
    from collections.abc import Iterable

OP_RETURN = b"\x6a\x04note"
SUBSIDY = 5_000_000


def script(name: str) -> bytes:
    """A P2WPKH script that is `name`'s alone."""
    return b"\x00\x14" + hashlib.sha256(name.encode()).digest()[:20]


def build(inputs: list[Outpoint], outputs: list[tuple[int, bytes]], nonce: int) -> Transaction:
    """A transaction; `nonce` makes two of the same shape differ."""
    raw = [struct.pack("<i", 2), bytes([len(inputs)])]
    for outpoint in inputs:
        raw.append(bytes.fromhex(outpoint.txid)[::-1] + struct.pack("<I", outpoint.vout))
        raw.append(b"\x00" + struct.pack("<I", 0xFFFFFFFD))
    raw.append(bytes([len(outputs)]))
    raw.extend(struct.pack("<q", sats) + bytes([len(s)]) + s for sats, s in outputs)
    raw.append(struct.pack("<I", nonce))
    return parse_transaction(b"".join(raw))


def coinbase(height: int, nonce: int, pays: bytes) -> Transaction:
    """A coinbase; height and nonce make it unique."""
    tag = struct.pack("<IQ", height, nonce)
    raw = struct.pack("<i", 1) + b"\x01" + bytes(32) + b"\xff\xff\xff\xff"
    raw += bytes([len(tag)]) + tag + b"\xff\xff\xff\xff"
    raw += b"\x01" + struct.pack("<q", SUBSIDY) + bytes([len(pays)]) + pays + bytes(4)
    return parse_transaction(raw)


@dataclass
class Block:
    """A block: its header and its transactions, the coinbase first."""

    raw: bytes
    height: int
    txs: list[Transaction]
    hash: BlockHash = field(init=False)
    ref: BlockRef = field(init=False)
    branches: list[tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.hash = header_hash(self.raw)
        self.ref = BlockRef(self.height, self.hash)
        rows = tree(self.txs)[:-1]
        self.branches = [_siblings(rows, index) for index in range(len(self.txs))]


def _siblings(rows: list[list[bytes]], index: int) -> tuple[str, ...]:
    """The Merkle branch of the leaf at `index`."""
    found = []
    for row in rows:
        found.append(row[min(index ^ 1, len(row) - 1)][::-1].hex())
        index //= 2
    return tuple(found)


def tree(txs: list[Transaction]) -> list[list[bytes]]:
    """The rows of the Merkle tree over these transactions, leaves first."""
    rows = [[bytes.fromhex(tx.txid)[::-1] for tx in txs]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        pairs = [(row[i], row[min(i + 1, len(row) - 1)]) for i in range(0, len(row), 2)]
        rows.append([hashlib.sha256(hashlib.sha256(a + b).digest()).digest() for a, b in pairs])
    return rows


def _unspent(
    found: dict[Outpoint, tuple[int, bytes]], txs: Iterable[Transaction]
) -> dict[Outpoint, tuple[int, bytes]]:
    """`found`, when these have come after it."""
    for tx in txs:
        for spent in tx.inputs:
            found.pop(spent.outpoint, None)
        for vout, output in enumerate(tx.outputs):
            if output.script_pubkey != OP_RETURN:
                found[Outpoint(tx.txid, vout)] = (output.sats, output.script_pubkey)
    return found


class World:
    """The chain and the mempool, and the verbs that change them."""

    def __init__(self, seed: int, treasuries: dict[str, list[bytes]]) -> None:
        self.rng = random.Random(seed)
        self.treasuries = {name: list(scripts) for name, scripts in treasuries.items()}
        self.strangers = [script(f"stranger {i}") for i in range(4)]
        self.blocks: list[Block] = []
        self.mempool: dict[Txid, Transaction] = {}
        self.nonce = 0
        # a tip, and the coins up to it
        self._mined: tuple[str, dict[Outpoint, tuple[int, bytes]]] = ("", {})
        self._block([])
        for _ in range(3):
            self.mine([])

    @property
    def ours(self) -> list[bytes]:
        """Every watched script."""
        return [s for scripts in self.treasuries.values() for s in scripts]

    # -- views -------------------------------------------------------------------------------------

    @property
    def tip(self) -> BlockRef:
        return self.blocks[-1].ref

    def coins(self, *, mempool: bool) -> dict[Outpoint, tuple[int, bytes]]:
        """Unspent outputs, of the chain alone or with the mempool on top."""
        if self._mined[0] != self.tip.hash:
            self._mined = (self.tip.hash, _unspent({}, [tx for block in self.blocks for tx in block.txs]))
        found = dict(self._mined[1])
        return _unspent(found, self.mempool.values()) if mempool else found

    def balance(self, treasury: str) -> tuple[int, int]:
        """(confirmed, pending) by naive recomputation: the oracle."""
        scripts = set(self.treasuries[treasury])
        confirmed = sum(v for v, s in self.coins(mempool=False).values() if s in scripts)
        whole = sum(v for v, s in self.coins(mempool=True).values() if s in scripts)
        return confirmed, whole - confirmed

    # -- verbs -------------------------------------------------------------------------------------

    def step(self) -> None:
        """One random thing."""
        verbs = [
            (self.fund, 5), (self.spend, 4), (self.internal, 2), (self.mixed, 1), (self.child, 2),
            (self.replace, 3), (self.mine_some, 5), (self.mine_unseen, 1), (self.reorganize, 2),
            (self.drop, 1),
        ]  # fmt: skip
        self.rng.choices([v for v, _ in verbs], [w for _, w in verbs])[0]()

    def fund(self) -> None:
        self._send(self._take(self.strangers, 1), [self.rng.choice(self.ours)], self.strangers)

    def spend(self) -> None:
        to = [self.rng.choice(self.strangers)]
        self._send(self._take(self.ours, self.rng.choice([1, 1, 2])), to, [*self.ours, *self.strangers])

    def internal(self) -> None:
        self._send(self._take(self.ours, 1), [self.rng.choice(self.ours), OP_RETURN], self.ours)

    def mixed(self) -> None:
        both = self._take(self.ours, 1) + self._take(self.strangers, 1)
        self._send(both, [self.rng.choice(self.ours), self.rng.choice(self.strangers)], self.strangers)

    def child(self) -> None:
        """Spend an unconfirmed output."""
        loose = [(o, c) for o, c in self.coins(mempool=True).items() if o.txid in self.mempool]
        if loose:
            self._send([self.rng.choice(loose)], [self.rng.choice([*self.ours, *self.strangers])], self.ours)

    def replace(self) -> None:
        """Another spend of an unconfirmed transaction's coin, to us or to a stranger."""
        if self.mempool:
            old = self.rng.choice(list(self.mempool.values()))
            self.evict([old.txid])
            coins = self.coins(mempool=True)
            kept = [(i.outpoint, coins[i.outpoint]) for i in old.inputs if i.outpoint in coins]
            kept = kept[: self.rng.randint(1, len(kept))] if kept else []
            self._send(kept, [self.rng.choice([*self.ours, *self.strangers])], self.strangers)

    def drop(self) -> None:
        if self.mempool:
            self.evict([self.rng.choice(list(self.mempool))])

    def mine_some(self) -> None:
        """A block of some of the mempool, parents included."""
        chosen: list[Transaction] = []
        taken: set[Txid] = set()
        for tx in list(self.mempool.values()):
            parents = {i.outpoint.txid for i in tx.inputs} & self.mempool.keys()
            if parents <= taken and self.rng.random() < 0.7:
                chosen.append(tx)
                taken.add(tx.txid)
        self.mine(chosen)

    def mine_unseen(self) -> None:
        """A block with a transaction that no mempool ever held."""
        before = set(self.mempool)
        self.rng.choice([self.fund, self.spend, self.internal])()
        new = [self.mempool[t] for t in self.mempool.keys() - before]
        parents = {i.outpoint.txid for tx in new for i in tx.inputs} & self.mempool.keys()
        if new and not parents:
            self.mine(new)

    def mine(self, txs: list[Transaction]) -> None:
        for tx in txs:
            self.mempool.pop(tx.txid, None)
        self._block(txs)
        self._heal()

    def reorganize(self) -> None:
        """Another branch, one block longer; what was mined is mined again, waits, vanishes or is rivalled."""
        depth = self.rng.choice([1, 1, 1, 2, 2, 3, 6])
        if depth >= len(self.blocks) - 2:
            return
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        for block in gone:
            for tx in block.txs:
                if not tx.is_coinbase and self.rng.random() < 0.8:
                    self.mempool[tx.txid] = tx
        self._heal()
        if self.mempool and self.rng.random() < 0.4:
            self.replace()
        for _ in range(depth + 1):
            self.mine_some() if self.rng.random() < 0.7 else self.mine([])

    def relist(self) -> None:
        """The watch list changes: a stranger's script enters, one of ours leaves or changes hands."""
        names = sorted(self.treasuries)
        listed = [(name, s) for name in names for s in self.treasuries[name]]
        manner = self.rng.random()
        if manner < 0.5:
            free = [s for s in self.strangers if s not in self.ours]
            if free:
                self.treasuries[self.rng.choice(names)].append(self.rng.choice(free))
        elif len(listed) > 3:
            name, moved = self.rng.choice(listed)
            self.treasuries[name].remove(moved)
            if manner < 0.8:
                self.treasuries[self.rng.choice([n for n in names if n != name])].append(moved)

    def evict(self, txids: list[Txid]) -> None:
        """Out of the mempool, with what descends from it."""
        for txid in txids:
            self.mempool.pop(txid, None)
        self._heal()

    # -- parts -------------------------------------------------------------------------------------

    def _take(self, scripts: list[bytes], count: int) -> list[tuple[Outpoint, tuple[int, bytes]]]:
        coins = [(o, c) for o, c in self.coins(mempool=True).items() if c[1] in scripts]
        return self.rng.sample(coins, min(count, len(coins)))

    def _send(
        self, coins: list[tuple[Outpoint, tuple[int, bytes]]], to: list[bytes], change: list[bytes]
    ) -> None:
        coins = list(dict(coins).items())  # a stranger's script may have become ours
        total = sum(sats for _, (sats, _) in coins)
        if total < 10_000:
            return
        self.nonce += 1
        paid = [(0 if s == OP_RETURN else total // (len(to) + 2), s) for s in to]
        rest = total - sum(sats for sats, _ in paid) - 200
        tx = build([o for o, _ in coins], [*paid, (rest, self.rng.choice(change))], self.nonce)
        self.mempool[tx.txid] = tx

    def _block(self, txs: list[Transaction]) -> None:
        height = len(self.blocks)
        self.nonce += 1
        pays = self.rng.choice(self.ours if self.rng.random() < 0.2 else self.strangers)
        body = [coinbase(height, self.nonce, pays), *txs]
        previous = bytes.fromhex(self.blocks[-1].hash)[::-1] if self.blocks else bytes(32)
        root, time = tree(body)[-1][0], 1_700_000_000 + height * 600
        raw = struct.pack("<i32s32sIII", 4, previous, root, time, 0x207FFFFF, self.nonce)
        self.blocks.append(Block(raw, height, body))

    def _heal(self) -> None:
        """The mempool holds only what the chain and itself still allow, in an order that respects parents."""
        coins = self.coins(mempool=False)
        in_chain = {tx.txid for block in self.blocks for tx in block.txs} if self.mempool else set()
        waiting = [tx for txid, tx in self.mempool.items() if txid not in in_chain]
        self.mempool = {}
        progress = True
        while progress:
            progress = False
            for tx in list(waiting):
                if all(i.outpoint in coins for i in tx.inputs):
                    for spent in tx.inputs:
                        del coins[spent.outpoint]
                    for vout, output in enumerate(tx.outputs):
                        if output.script_pubkey != OP_RETURN:
                            coins[Outpoint(tx.txid, vout)] = (output.sats, output.script_pubkey)
                    self.mempool[tx.txid] = tx
                    waiting.remove(tx)
                    progress = True
