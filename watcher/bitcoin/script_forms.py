"""The forms of a script whose signatures can be judged without running it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.scripts import is_p2pkh

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_KEYS: Final = 20  # MAX_PUBKEYS_PER_MULTISIG
_OP_PUSHDATA1 = 0x4C
_OP_PUSHDATA4 = 0x4E
_OP_1NEGATE = 0x4F
_OP_1 = 0x51
_OP_16 = 0x60
_OP_CHECKSIG = 0xAC
_OP_CHECKMULTISIG = 0xAE


@dataclass(frozen=True, slots=True)
class KeyHash:
    """One signature and the key that has this HASH160."""

    hash: bytes

    @property
    def items(self) -> int:
        """How many items unlock it."""
        return 2


@dataclass(frozen=True, slots=True)
class Keys:
    """`needed` signatures by these keys, in the keys' order; a multisig takes an empty item before them."""

    needed: int
    keys: tuple[bytes, ...]
    is_multisig: bool

    @property
    def items(self) -> int:
        """How many items unlock it."""
        return self.needed + self.is_multisig


def form_of(script: bytes) -> KeyHash | Keys | None:
    """What unlocks a script, or None where it is of another form.

    What has the size of a key may be none: then it signs nothing, as in consensus.
    """
    if is_p2pkh(script):
        return KeyHash(script[3:23])
    operations = list(islice(_operations(script), MOST_KEYS + 4))  # one more than the longest form has
    match operations:
        case [(_, key), (code, None)] if code == _OP_CHECKSIG and key and _is_key(key):
            return Keys(1, (key,), is_multisig=False)
        case [first, *middle, last, (code, None)] if code == _OP_CHECKMULTISIG:
            needed, total = _number(first), _number(last)
            keys = tuple(key for _, key in middle if key and _is_key(key))
            if 1 <= needed <= total == len(keys) == len(middle) <= MOST_KEYS:
                return Keys(needed, keys, is_multisig=True)
    return None


def pushes_of(script: bytes) -> list[bytes] | None:
    """What a script pushes, one after the other, or None where it does anything else or breaks off."""
    pushed: list[bytes] = []
    for code, content in _operations(script):
        if content is not None:
            pushed.append(content)
        elif code == _OP_1NEGATE:
            pushed.append(b"\x81")
        elif _OP_1 <= code <= _OP_16:
            pushed.append(bytes([code - _OP_1 + 1]))
        else:
            return None
    return pushed


_BROKEN: Final = 0xFF  # no operation has this number: the script breaks off in a push


def _operations(script: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Each operation with what it pushes; None where that is nothing, or a number that the code names."""
    at = 0
    while at < len(script):
        code = script[at]
        at += 1
        if code > _OP_PUSHDATA4:
            yield code, None
            continue
        size = code
        if code >= _OP_PUSHDATA1:
            width = 1 << code - _OP_PUSHDATA1
            size = int.from_bytes(script[at : at + width], "little")
            at += width
        content = script[at : at + size]
        at += size
        if at > len(script):
            yield _BROKEN, None
            return
        yield code, content


def _is_key(content: bytes) -> bool:
    # a legacy script that holds a signature (0x30) as if it were a key is not hashed as it is: FindAndDelete
    return len(content) in {33, 65} and content[0] != 0x30


def _number(operation: tuple[int, bytes | None]) -> int:
    """The number from 1 to 20 that an operation pushes, or 0."""
    code, content = operation
    if content is None:
        return code - _OP_1 + 1 if _OP_1 <= code <= _OP_16 else 0
    return content[0] if len(content) == 1 and content[0] <= MOST_KEYS else 0
