"""The forms in which explorers answer (Blockstream/esplora, API.md), read strictly.

What is not of its form is `Unavailable`: between an explorer and us stand proxies that answer in its place.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from itertools import takewhile
from struct import pack
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar

import msgspec

from watcher.bitcoin.headers import HEADER_SIZE, header_hash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import BlockHash, Malformed, Txid
from watcher.sources.base import Branch, Misbehaved, NotThere, Unavailable
from watcher.sources.quoted import quoted
from watcher.sources.rest import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

HASH: Final = Form("text/plain", 100)
RAW: Final = Form("text/plain", 8_000_000)  # hexadecimal: a transaction has less than 4 MB
SMALL: Final = Form("application/json", 64_000)
BLOCKS: Final = Form("application/json", 1_000_000)
TXIDS: Final = Form("application/json", 2_000_000)  # of a whole block: at most 16,666 of 67 bytes
PAGE: Final = Form("application/json", 16_000_000)  # 75 transactions in full

_HEX64: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_MAX_SIBLINGS: Final = 64  # bounds the list; how deep a tree can be is said where the branch is folded
# Every object and every list of ids that an explorer gives has hashes or longer words in it. Decoded, each
# value takes some 100 bytes: without these bounds short ones would take many times the answer's own size.
_OBJECT: Final = 40  # bytes
_ID: Final = 60
_FEW: Final = 100
_ZERO_HASH: Final = "00" * 32

_Height = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Version = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**32 - 1)]  # signed or not, as the server likes


class Entry(NamedTuple):
    """A line of a history; in no block: `height` and `block` are None, and `parents` are those it spends."""

    txid: Txid
    height: int | None
    block: BlockHash | None
    parents: tuple[str, ...] = ()


class _Place(msgspec.Struct):
    confirmed: bool
    block_height: _Height | None = None
    block_hash: str | None = None


class _Spent(msgspec.Struct):
    txid: str


class _Tx(msgspec.Struct):
    txid: str
    status: _Place
    vin: list[_Spent]


class _Counted(msgspec.Struct):
    tx_count: _Height


class _Counts(msgspec.Struct):
    chain_stats: _Counted
    mempool_stats: _Counted


class _Block(msgspec.Struct):
    id: str
    height: _Height
    version: _Version
    timestamp: _U32
    merkle_root: str
    bits: _U32
    nonce: _U32
    previousblockhash: str | None = None


class _BlockStatus(msgspec.Struct):
    in_best_chain: bool


class _Branch(msgspec.Struct):
    block_height: _Height
    merkle: list[str]
    pos: _Height


_PAGE: Final = msgspec.json.Decoder(list[_Tx])
_COUNTS: Final = msgspec.json.Decoder(_Counts)
_BLOCK: Final = msgspec.json.Decoder(_Block)
_BLOCKS: Final = msgspec.json.Decoder(list[_Block])
_STATUS: Final = msgspec.json.Decoder(_BlockStatus)
_BRANCH: Final = msgspec.json.Decoder(_Branch)
_TXIDS: Final = msgspec.json.Decoder(list[str])


def read_hash(body: bytes) -> BlockHash:
    """A block's hash, alone; a notice in its place is none."""
    text = body.decode("ascii", "replace").strip()
    if not _HEX64(text):
        raise Unavailable(f"not a hash: {quoted(text, limit=60)}")
    return BlockHash(text)


def read_page(body: bytes) -> tuple[Entry, ...]:
    """A page of a history, newest first, what is in no block before what is in one."""
    page = tuple(_entry(tx) for tx in _decoded(_PAGE, body))
    unconfirmed = len(unconfirmed_of(page))
    heights = [entry.height for entry in page[unconfirmed:] if entry.height is not None]
    if len(heights) + unconfirmed != len(page) or heights != sorted(heights, reverse=True):
        raise Unavailable("a page that is not sorted newest first")
    return page


def unconfirmed_of(page: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries a page begins with that are in no block."""
    return tuple(takewhile(lambda entry: entry.height is None, page))


def read_counts(body: bytes) -> tuple[int, int]:
    """How many transactions a script has in blocks, and in none."""
    counts = _decoded(_COUNTS, body)
    return counts.chain_stats.tx_count, counts.mempool_stats.tx_count


def read_block(body: bytes) -> tuple[int, bytes]:
    """A block's height and its header, which hashes to the id it is given for."""
    return _header(_decoded(_BLOCK, body))


def read_blocks(body: bytes, highest: int) -> tuple[bytes, ...]:
    """Headers of consecutive blocks, the one at `highest` first and then downwards."""
    blocks = [_header(block) for block in _decoded(_BLOCKS, body)]
    if not blocks or any(height != highest - at for at, (height, _header) in enumerate(blocks)):
        raise Unavailable("a page of blocks that is not the one asked for")
    return tuple(header for _height, header in blocks)


def read_in_best_chain(body: bytes) -> bool:
    """Whether a block is on the server's chain."""
    return _decoded(_STATUS, body).in_best_chain


def read_places(body: bytes) -> dict[str, int]:
    """Where in a block each of its transactions stands."""
    if body.count(b",") > len(body) // _ID:
        raise Unavailable("more ids than the answer has room for")
    told: list[str] = _decoded(_TXIDS, body)
    return {txid: place for place, txid in enumerate(told)}


def read_transaction(body: bytes) -> bytes:
    """A raw transaction, whole, not hashed."""
    try:
        raw = unhexlify(body.strip())
        parse_transaction(raw)
    except (ValueError, Malformed):  # half a transaction is a broken answer; another one is a false answer
        raise Unavailable("not a whole transaction in hexadecimal") from None
    return raw


def read_branch(body: bytes, height: int) -> Branch:
    """A Merkle branch as claimed for the block at that height; `NotThere` if it is in another block now."""
    told = _decoded(_BRANCH, body)
    if len(told.merkle) > _MAX_SIBLINGS or not all(_HEX64(sibling) for sibling in told.merkle):
        raise Misbehaved("branch", "a branch that is no short list of hashes")
    if told.block_height != height:
        raise NotThere("it is in another block")
    return Branch(told.pos, tuple(told.merkle))


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    if body.count(b"{") > _FEW + len(body) // _OBJECT:
        raise Unavailable("more objects than the answer has room for")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"not the kind of answer asked for: {quoted(error)}") from None


def _entry(tx: _Tx) -> Entry:
    place = tx.status
    if not _HEX64(tx.txid):
        raise Unavailable("a transaction id that is no hash")
    if not place.confirmed:
        return Entry(Txid(tx.txid), None, None, tuple(spent.txid for spent in tx.vin))
    if place.block_height is None or place.block_hash is None or not _HEX64(place.block_hash):
        raise Unavailable("a transaction in a block that is not named")
    return Entry(Txid(tx.txid), place.block_height, BlockHash(place.block_hash))


def _header(block: _Block) -> tuple[int, bytes]:
    previous = block.previousblockhash or _ZERO_HASH
    if not (_HEX64(block.id) and _HEX64(block.merkle_root) and _HEX64(previous)):
        raise Unavailable("a block with a hash that is none")
    header = (
        pack("<I", block.version % 2**32)
        + bytes.fromhex(previous)[::-1]
        + bytes.fromhex(block.merkle_root)[::-1]
        + pack("<III", block.timestamp, block.bits, block.nonce)
    )
    if len(header) != HEADER_SIZE or header_hash(header) != block.id:
        raise Misbehaved("header", "a block whose header does not hash to its id")
    return block.height, header
