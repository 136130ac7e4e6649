"""What a signature signs: the digests of BIP 143 and BIP 341, and the one from before them.

By our own hand, and not by embit 0.8: for legacy SINGLE it hashes blank outputs of 2**32 - 1 satoshis where
consensus has 2**64 - 1, it gets 4 of the 7 vectors of BIP 341 wrong (SINGLE and all ANYONECANPAY), and it
refuses the odd hash types that consensus allows. Where it is right the tests hold the two against each other.
"""

from __future__ import annotations

import struct
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.hashing import sha256d

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watcher.bitcoin.transactions import Transaction, TxInput, TxOutput

DEFAULT: Final = 0  # BIP 341: no byte, signs as ALL does
ALL: Final = 1
NONE: Final = 2
SINGLE: Final = 3
ANYONECANPAY: Final = 0x80
TAPROOT_TYPES: Final = frozenset({DEFAULT, ALL, NONE, SINGLE, 0x81, 0x82, 0x83})  # BIP 341: no others

_BASE = 0x1F  # before BIP 341, what is neither NONE nor SINGLE under this mask signs as ALL
_NOTHING = bytes(32)
_ONE = b"\1" + bytes(31)  # what legacy SINGLE signs where there is no output of that index
_BLANK = b"\xff" * 8 + b"\0"  # an output of -1 satoshis with an empty script
_U32 = struct.Struct("<I").pack
_U64 = struct.Struct("<Q").pack


class Digests:
    """The digests of one transaction; what several of them share is computed once.

    `spent` are the coins of all inputs in their order, None where one is not known; taproot alone asks.
    """

    def __init__(self, transaction: Transaction, spent: Sequence[TxOutput | None] = ()) -> None:
        self._spent = spent
        self._outpoints = [_outpoint(tx_input) for tx_input in transaction.inputs]
        self._sequences = [_U32(tx_input.sequence) for tx_input in transaction.inputs]
        self._outputs = [output_bytes(output) for output in transaction.outputs]
        self._version = _U32(transaction.version)
        self._lock_time = _U32(transaction.lock_time)

    def legacy(self, index: int, script_code: bytes, hash_type: int) -> bytes:
        """What an input without witness signs; `hash_type` is any number of 32 bits, without sign.

        The script code is hashed as it is: there is no OP_CODESEPARATOR in it, nor the signature itself.
        """
        kind = hash_type & _BASE
        if kind == SINGLE and index >= len(self._outputs):
            return _ONE
        own = self._outpoints[index] + sized(script_code) + self._sequences[index]
        if hash_type & ANYONECANPAY:
            inputs = [own]
        elif kind in {NONE, SINGLE}:
            inputs = [outpoint + bytes(5) for outpoint in self._outpoints]
            inputs[index] = own
        else:
            inputs = [*self._blank_inputs[:index], own, *self._blank_inputs[index + 1 :]]
        if kind == NONE:
            outputs = []
        elif kind == SINGLE:
            outputs = [*([_BLANK] * index), self._outputs[index]]
        else:
            outputs = self._outputs
        return sha256d(
            self._version + _counted(inputs) + _counted(outputs) + self._lock_time + _U32(hash_type)
        )

    def segwit(self, index: int, script_code: bytes, sats: int, hash_type: int) -> bytes:
        """What an input with a version 0 witness signs (BIP 143)."""
        kind = hash_type & _BASE
        outpoints = sequences = outputs = _NOTHING
        if not hash_type & ANYONECANPAY:
            outpoints = sha256(self._all_outpoints).digest()
            if kind not in {NONE, SINGLE}:
                sequences = sha256(self._all_sequences).digest()
        if kind not in {NONE, SINGLE}:
            outputs = sha256(self._all_outputs).digest()
        elif kind == SINGLE and index < len(self._outputs):
            outputs = sha256d(self._outputs[index])
        return sha256d(
            self._version
            + outpoints
            + sequences
            + self._outpoints[index]
            + sized(script_code)
            + _U64(sats)
            + self._sequences[index]
            + outputs
            + self._lock_time
            + _U32(hash_type)
        )

    def knows_coins(self, index: int, hash_type: int) -> bool:
        """Whether the coins that a key path signs are known: all of them, or with ANYONECANPAY its own."""
        needed = self._spent[index : index + 1] if hash_type & ANYONECANPAY else self._spent
        return bool(needed) and all(coin is not None for coin in needed)

    def taproot(self, index: int, hash_type: int, annex: bytes | None) -> bytes | None:
        """What a key path signs (BIP 341); None where there is no such hash type, or no output to sign.

        Asked for only where `knows_coins`.
        """
        own, kind = self._spent[index], hash_type & 3
        if own is None or hash_type not in TAPROOT_TYPES:
            return None
        if kind == SINGLE and index >= len(self._outputs):
            return None
        message = b"\0" + bytes([hash_type]) + self._version + self._lock_time
        anyone = hash_type & ANYONECANPAY
        if not anyone:
            message += self._all_outpoints + self._all_coins + self._all_sequences
        if kind in {DEFAULT, ALL}:
            message += self._all_outputs
        message += bytes([annex is not None])  # the key path's extension flag is zero
        if anyone:
            message += self._outpoints[index] + output_bytes(own) + self._sequences[index]
        else:
            message += _U32(index)
        if annex is not None:
            message += sha256(sized(annex)).digest()
        if kind == SINGLE:
            message += sha256(self._outputs[index]).digest()
        return tagged("TapSighash", message)

    @cached_property
    def _blank_inputs(self) -> list[bytes]:
        return [
            outpoint + b"\0" + sequence
            for outpoint, sequence in zip(self._outpoints, self._sequences, strict=True)
        ]

    @cached_property
    def _all_outpoints(self) -> bytes:
        return sha256(b"".join(self._outpoints)).digest()

    @cached_property
    def _all_coins(self) -> bytes:
        """The hash of all amounts spent and that of all scripts spent."""
        coins = [coin for coin in self._spent if coin is not None]
        amounts = b"".join(_U64(coin.sats) for coin in coins)
        scripts = b"".join(sized(coin.script_pubkey) for coin in coins)
        return sha256(amounts).digest() + sha256(scripts).digest()

    @cached_property
    def _all_sequences(self) -> bytes:
        return sha256(b"".join(self._sequences)).digest()

    @cached_property
    def _all_outputs(self) -> bytes:
        return sha256(b"".join(self._outputs)).digest()


def tagged(tag: str, message: bytes) -> bytes:
    """The tagged hash of BIP 340."""
    prefix = sha256(tag.encode()).digest()
    return sha256(prefix + prefix + message).digest()


def sized(content: bytes) -> bytes:
    """`content` after its compact size."""
    return _compact_size(len(content)) + content


def output_bytes(output: TxOutput) -> bytes:
    """An output as a transaction holds it."""
    return _U64(output.sats) + sized(output.script_pubkey)


def _outpoint(tx_input: TxInput) -> bytes:
    return bytes.fromhex(tx_input.outpoint.txid)[::-1] + _U32(tx_input.outpoint.vout)


def _counted(items: Iterable[bytes]) -> bytes:
    listed = list(items)
    return _compact_size(len(listed)) + b"".join(listed)


def _compact_size(size: int) -> bytes:
    if size < 0xFD:
        return bytes([size])
    if size <= 0xFFFF:
        return b"\xfd" + size.to_bytes(2, "little")
    return b"\xfe" + _U32(size)
