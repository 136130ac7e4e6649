"""Raw transactions, parsed strictly: what a node would not relay or mine for its form alone is refused.

Laws: the bytes are consumed exactly; every count is bounded by the bytes that remain before anything
is built from it; every number is in its shortest form, so one transaction has one serialisation; the
txid is always recomputed from the bytes.

What a transaction is made of is a `Struct`, of which a first reading makes hundreds of thousands: they take
a fraction of a dataclass's time, and hold nothing that the garbage collector would have to look for.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

import msgspec

from watcher.bitcoin.hashing import display, sha256d
from watcher.bitcoin.types import MAX_SATS, Malformed, Outpoint, Sats, Txid

MAX_WEIGHT = 4_000_000  # consensus: a block's weight, and so a transaction's (BIP 141)

_SMALLEST_INPUT = 41  # outpoint 36, an empty script's length 1, sequence 4
_SMALLEST_OUTPUT = 9  # amount 8, an empty script's length 1
_CUT = "the transaction is cut short"
_TOO_HEAVY = "a transaction heavier than a block may be"
_COINBASE_OUTPOINT = Outpoint(Txid("00" * 32), 0xFFFFFFFF)

_U16 = struct.Struct("<H").unpack_from
_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from
_I64 = struct.Struct("<q").unpack_from
_OUTPOINT = struct.Struct("<32sI").unpack_from

Witnesses: TypeAlias = tuple[tuple[bytes, ...], ...]


class TxInput(msgspec.Struct, frozen=True, gc=False):
    """The coin that is spent, and what unlocks it outside the witness."""

    outpoint: Outpoint
    script_sig: bytes
    sequence: int


class TxOutput(msgspec.Struct, frozen=True, gc=False):
    """A new coin: how much, locked by what."""

    sats: Sats
    script_pubkey: bytes


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction; `witnesses` has one stack an input or is empty, `stripped` is what the txid hashes."""

    txid: Txid
    version: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    witnesses: Witnesses
    lock_time: int
    stripped: bytes

    @property
    def raw(self) -> bytes:
        """The whole serialisation, witness included (BIP 144)."""
        if not self.witnesses:
            return self.stripped
        stacks = b"".join(_sized(len(stack)) + b"".join(map(_item, stack)) for stack in self.witnesses)
        return self.stripped[:4] + b"\x00\x01" + self.stripped[4:-4] + stacks + self.stripped[-4:]

    @property
    def size(self) -> int:
        """The bytes of the whole serialisation, but for a few of long items of witnesses."""
        return len(self.stripped) + sum(len(item) + 1 for stack in self.witnesses for item in stack)

    @property
    def is_coinbase(self) -> bool:
        """Whether it creates its coins: the first transaction of a block."""
        return self.inputs[0].outpoint == _COINBASE_OUTPOINT


def parse_transaction(raw: bytes) -> Transaction:
    """The transaction these bytes are, with or without witness; `Malformed` for any other bytes."""
    if len(raw) > MAX_WEIGHT:
        raise Malformed(f"a transaction of {len(raw)} bytes: no block has room for it")
    try:
        return _parse(raw)
    except (struct.error, IndexError):
        raise Malformed(_CUT) from None


def _parse(raw: bytes) -> Transaction:
    # BIP 144: a zero where the number of inputs stands announces a witness
    segwit = raw[4] == 0 and raw[5] == 1
    start = 6 if segwit else 4
    inputs, at = _inputs(raw, start)
    outputs, end = _outputs(raw, at)
    witnesses: Witnesses = ()
    at = end
    if segwit:
        witnesses, at = _witnesses(raw, end, len(inputs))
    (lock_time,) = _U32(raw, at)
    if len(raw) != at + 4:
        raise Malformed(f"{len(raw) - at - 4} bytes follow the transaction")
    stripped = raw[:4] + raw[6:end] + raw[at:] if segwit else raw
    if 3 * len(stripped) + len(raw) > MAX_WEIGHT:
        raise Malformed(_TOO_HEAVY)
    txid = Txid(display(sha256d(stripped)))
    (version,) = _U32(raw, 0)
    return Transaction(txid, version, inputs, outputs, witnesses, lock_time, stripped)


def _size(raw: bytes, at: int) -> tuple[int, int]:
    """A compact size and the place after it; a longer form than needed is refused."""
    first = raw[at]
    if first < 0xFD:
        return first, at + 1
    if first == 0xFD:
        size, at, least = _U16(raw, at + 1)[0], at + 3, 0xFD
    elif first == 0xFE:
        size, at, least = _U32(raw, at + 1)[0], at + 5, 0x1_0000
    else:
        size, at, least = _U64(raw, at + 1)[0], at + 9, 0x1_0000_0000
    if size < least:
        raise Malformed("a size that is not in its shortest form")
    return size, at


def _sized(size: int) -> bytes:
    """A compact size in its shortest form."""
    if size < 0xFD:
        return bytes([size])
    if size <= 0xFFFF:
        return b"\xfd" + size.to_bytes(2, "little")
    return b"\xfe" + size.to_bytes(4, "little")


def _item(item: bytes) -> bytes:
    return _sized(len(item)) + item


def _count(raw: bytes, at: int, smallest: int) -> tuple[int, int]:
    """A number of items of at least `smallest` bytes each, and the place after it."""
    count, at = _size(raw, at)
    if count * smallest > len(raw) - at:
        raise Malformed(f"a count of {count}, and {len(raw) - at} bytes remain")
    return count, at


def _base_count(raw: bytes, at: int, smallest: int) -> tuple[int, int]:
    """Of what weighs four units a byte (BIP 141): what no block has room for is not built."""
    count, at = _count(raw, at, smallest)
    if 4 * count * smallest > MAX_WEIGHT:
        raise Malformed(_TOO_HEAVY)
    return count, at


def _inputs(raw: bytes, at: int) -> tuple[tuple[TxInput, ...], int]:
    count, at = _base_count(raw, at, _SMALLEST_INPUT)
    if not count:
        raise Malformed("a transaction without inputs")
    inputs: list[TxInput] = []
    for _ in range(count):
        previous, vout = _OUTPOINT(raw, at)
        size, at = _size(raw, at + 36)
        end = at + size
        if end > len(raw):
            raise Malformed(_CUT)
        (sequence,) = _U32(raw, end)
        inputs.append(TxInput(Outpoint(Txid(previous[::-1].hex()), vout), raw[at:end], sequence))
        at = end + 4
    if count > 1:
        _check_distinct([tx_input.outpoint for tx_input in inputs])
    return tuple(inputs), at


def _check_distinct(outpoints: list[Outpoint]) -> None:
    """Consensus (CheckTransaction): no coin is spent twice at once, and only a coinbase spends none."""
    spent = set(outpoints)
    if len(spent) != len(outpoints):
        raise Malformed("a transaction that spends one coin twice")
    if _COINBASE_OUTPOINT in spent:
        raise Malformed("a transaction that spends no coin beside real ones")


def _outputs(raw: bytes, at: int) -> tuple[tuple[TxOutput, ...], int]:
    count, at = _base_count(raw, at, _SMALLEST_OUTPUT)
    if not count:
        raise Malformed("a transaction without outputs")
    outputs: list[TxOutput] = []
    total = 0
    for _ in range(count):
        (sats,) = _I64(raw, at)
        if not 0 <= sats <= MAX_SATS:
            raise Malformed("an amount below zero or above all bitcoin")
        total += sats
        size, at = _size(raw, at + 8)
        end = at + size
        if end > len(raw):
            raise Malformed(_CUT)
        outputs.append(TxOutput(sats, raw[at:end]))
        at = end
    if total > MAX_SATS:
        raise Malformed("amounts whose sum is above all bitcoin")
    return tuple(outputs), at


def _witnesses(raw: bytes, at: int, inputs: int) -> tuple[Witnesses, int]:
    witnesses: list[tuple[bytes, ...]] = []
    for _ in range(inputs):
        count, at = _count(raw, at, 1)
        stack: list[bytes] = []
        for _ in range(count):
            size, at = _size(raw, at)
            end = at + size
            if end > len(raw):
                raise Malformed(_CUT)
            stack.append(raw[at:end])
            at = end
        witnesses.append(tuple(stack))
    if not any(witnesses):
        raise Malformed("a witness is announced, and there is none")
    return tuple(witnesses), at
