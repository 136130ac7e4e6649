"""The words every other module speaks in.

Hashes are 64 lower-case hex digits in the order people and servers write them (the reverse of the
bytes that were hashed): they go into SQLite, JSON and URLs as they are, and are never compared in
another order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NewType, TypeAlias

import msgspec

Txid = NewType("Txid", str)
BlockHash = NewType("BlockHash", str)
ScriptHash = NewType("ScriptHash", str)  # sha256 of the script_pubkey, reversed, as Electrum has it
Sats: TypeAlias = int

MAX_SATS: Sats = 21_000_000 * 100_000_000  # no amount, and no sum of amounts, is ever above this


class Outpoint(NamedTuple):
    """One output of one transaction."""

    txid: Txid
    vout: int


class BlockRef(msgspec.Struct, frozen=True, order=True, gc=False):
    """A block by height and hash: a height alone does not name a block."""

    height: int
    hash: BlockHash


class Confirmed(msgspec.Struct, frozen=True, gc=False):
    """In a block of our chain, at `index` among its transactions."""

    block: BlockRef
    index: int


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Known, and in no block of our chain."""


Position: TypeAlias = Confirmed | Unconfirmed
UNCONFIRMED = Unconfirmed()


class Malformed(ValueError):
    """Bytes or text that the protocol does not allow; the message says what and where."""
