"""Bitcoin's serialisation, written apart from the product's parser: the two check each other."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from watcher.bitcoin.types import BlockHash, Outpoint, ScriptHash, Txid

if TYPE_CHECKING:
    from collections.abc import Sequence

NULL = Outpoint(Txid("00" * 32), 0xFFFFFFFF)
LIMIT_BITS = 0x207FFFFF
LIMIT = 0x7FFFFF << 8 * (0x20 - 3)


def sha256d(content: bytes) -> bytes:
    """Bitcoin's hash."""
    return sha256(sha256(content).digest()).digest()


def scripthash(script: bytes) -> ScriptHash:
    """Electrum's name for a script."""
    return ScriptHash(sha256(script).digest()[::-1].hex())


def compact(number: int) -> bytes:
    """A CompactSize."""
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + struct.pack("<H", number) if number < 0x10000 else b"\xfe" + struct.pack("<I", number)


@dataclass(frozen=True, slots=True)
class Tx:
    """A transaction; `outputs` are (script, satoshis), `witness` is that of its only input."""

    inputs: tuple[Outpoint, ...]
    outputs: tuple[tuple[bytes, int], ...]
    script_sig: bytes = b""
    witness: tuple[bytes, ...] = ()
    raw: bytes = field(init=False)
    txid: Txid = field(init=False)

    def __post_init__(self) -> None:
        ins = b"".join(
            bytes.fromhex(coin.txid)[::-1]
            + struct.pack("<I", coin.vout)
            + compact(len(self.script_sig))
            + self.script_sig
            + b"\xfd\xff\xff\xff"  # replaceable
            for coin in self.inputs
        )
        outs = b"".join(
            struct.pack("<q", sats) + compact(len(script)) + script for script, sats in self.outputs
        )
        body = compact(len(self.inputs)) + ins + compact(len(self.outputs)) + outs
        version, lock_time = struct.pack("<i", 2), bytes(4)
        object.__setattr__(self, "raw", version + body + lock_time)
        object.__setattr__(self, "txid", Txid(sha256d(self.raw)[::-1].hex()))
        if self.witness:
            assert len(self.inputs) == 1
            stack = compact(len(self.witness)) + b"".join(compact(len(one)) + one for one in self.witness)
            object.__setattr__(self, "raw", version + b"\x00\x01" + body + stack + lock_time)

    @property
    def is_coinbase(self) -> bool:
        """Whether it makes new coins."""
        return self.inputs == (NULL,)


@dataclass(frozen=True, slots=True)
class Block:
    """A header and what it commits to."""

    header: bytes
    txids: tuple[Txid, ...]

    @property
    def hash(self) -> BlockHash:
        """Its name."""
        return BlockHash(sha256d(self.header)[::-1].hex())


def mined(previous: BlockHash, time: int, txids: Sequence[Txid]) -> Block:
    """A block with enough work for regtest's limit."""
    start = struct.pack("<i", 0x20000000) + bytes.fromhex(previous)[::-1] + merkle_rows(txids)[-1][0]
    nonce = 0
    while True:
        header = start + struct.pack("<III", time, LIMIT_BITS, nonce)
        if int.from_bytes(sha256d(header), "little") <= LIMIT:
            return Block(header, tuple(txids))
        nonce += 1


def merkle_rows(txids: Sequence[Txid]) -> list[list[bytes]]:
    """The tree's rows, leaves first, in the order that is hashed."""
    rows = [[bytes.fromhex(txid)[::-1] for txid in txids]]
    while len(row := rows[-1]) > 1:
        pairs = zip(row[::2], row[1::2] + row[-1:], strict=False)
        rows.append([sha256d(left + right) for left, right in pairs])
    return rows


@lru_cache(maxsize=4)  # whoever asks for one branch of a block mostly asks for more
def _rows(txids: tuple[Txid, ...]) -> list[list[bytes]]:
    return merkle_rows(txids)


def merkle_branch(txids: tuple[Txid, ...], index: int) -> list[str]:
    """The siblings, leaf to root, in display order."""
    siblings = []
    for row in _rows(txids)[:-1]:
        beside = index ^ 1
        siblings.append(row[beside if beside < len(row) else index][::-1].hex())
        index >>= 1
    return siblings
