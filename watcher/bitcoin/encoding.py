"""Base58check and bech32(m), strict: what does not round-trip is refused.

No message repeats the text it refuses: a private key pasted where an address belongs must not reach a log.
"""

from __future__ import annotations

import struct
from array import array
from enum import IntEnum
from functools import lru_cache, reduce
from operator import getitem, xor

from watcher.bitcoin.hashing import sha256d
from watcher.bitcoin.types import Malformed

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = bytes(_BASE58.find(chr(code)) & 0xFF for code in range(256))
BASE58_DIGITS = frozenset(_BASE58)
_BASE58_LONGEST = 120  # an extended key, the longest of its kind, has 111 or 112 characters

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_LONGEST = 90  # BIP 173
_AS_BASE32 = str.maketrans(
    {chr(code): "!" for code in range(128)}
    | dict(zip(_BECH32, "0123456789abcdefghijklmnopqrstuv", strict=True))
)

_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _remainder_of(top: int) -> int:
    remainder = 0
    for bit, generator in enumerate(_GENERATORS):
        if top >> bit & 1:
            remainder ^= generator
    return remainder


_REMAINDERS = tuple(_remainder_of(top) for top in range(32))


def _step(state: int, value: int) -> int:
    return (state & 0x1FFFFFF) << 5 ^ value ^ _REMAINDERS[state >> 25]


def _pairs(base: int) -> array[int]:
    """The number that two digits make, by their two bytes read as one little-endian integer."""
    return array("H", ((both & 0xFF) * base + (both >> 8) for both in range(base << 8)))


def _contributions() -> tuple[array[int], ...]:
    """What each byte of a number made of bech32 digits adds to the remainder, the last byte first.

    The checksum is linear over bits, and what a bit adds depends on nothing but its distance from the end.
    """
    bits = [1 << bit for bit in range(5)]
    while len(bits) < 5 * _BECH32_LONGEST:
        bits.append(_step(bits[-5], 0))
    rows = []
    for first in range(0, len(bits), 8):
        row = [0]
        for bit in bits[first : first + 8]:
            row += [bit ^ lower for lower in row]
        rows.append(array("I", row))
    return tuple(rows)


# lists hold 100,000 addresses: whole bytes and pairs of digits at once are read in less than half the time
_CONTRIBUTIONS = _contributions()
_BASE58_PAIRS = _pairs(58)


class Checksum(IntEnum):
    """The constant that a whole bech32 text leaves as its remainder."""

    BECH32 = 1  # BIP 173
    BECH32M = 0x2BC830A3  # BIP 350


def base58check_encode(payload: bytes) -> str:
    """`payload` with its four-byte checksum, in base 58."""
    content = payload + sha256d(payload)[:4]
    number = int.from_bytes(content, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    zeros = len(content) - len(content.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def base58check_decode(text: str) -> bytes:
    """The payload of a base58check text, without its checksum; `Malformed` for anything else."""
    if len(text) > _BASE58_LONGEST:
        raise Malformed(f"longer than {_BASE58_LONGEST} characters")
    values = text.encode(errors="replace").translate(_BASE58_VALUES)
    if 0xFF in values:
        raise Malformed("a character that base 58 does not have")
    number = 0
    if len(values) % 2:
        number, values = values[0], values[1:]
    for pair in struct.unpack(f"<{len(values) // 2}H", values):
        number = number * 3364 + _BASE58_PAIRS[pair]
    zeros = len(text) - len(text.lstrip("1"))
    content = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, checksum = content[:-4], content[-4:]
    if not payload or sha256d(payload)[:4] != checksum:
        raise Malformed("the checksum does not match: mistyped or cut")
    return payload


@lru_cache(maxsize=64)
def _remainder_before(hrp: str, digits: int) -> int:
    """The remainder of the prefix and as many zeros."""
    codes = hrp.encode()
    expanded = bytes(code >> 5 for code in codes) + b"\0" + bytes(code & 31 for code in codes)
    return reduce(_step, expanded + bytes(digits), 1)


def _remainder(hrp: str, number: int, digits: int) -> int:
    content = number.to_bytes((digits * 5 + 7) // 8, "little")
    return reduce(xor, map(getitem, _CONTRIBUTIONS, content), _remainder_before(hrp, digits))


def bech32_encode(hrp: str, version: int, program: bytes) -> str:
    """A segwit address: the checksum is the one its witness version asks for."""
    checksum = Checksum.BECH32M if version else Checksum.BECH32
    groups = -(-len(program) * 8 // 5)
    number = int.from_bytes(program, "big") << groups * 5 - len(program) * 8
    number = (version << groups * 5 | number) << 30
    number |= _remainder(hrp, number, groups + 7) ^ checksum
    digits = (_BECH32[number >> 5 * place & 31] for place in range(groups + 6, -1, -1))
    return f"{hrp}1{''.join(digits)}"


def bech32_decode(text: str) -> tuple[str, int, bytes]:
    """The lower-case prefix, witness version and program of a segwit address; `Malformed` for anything else.

    Whether the prefix is of a network, and the program's length right for version 0, is the caller's to say.
    """
    if len(text) > _BECH32_LONGEST:
        raise Malformed(f"longer than {_BECH32_LONGEST} characters")
    if not text.isascii() or not text.isprintable():
        raise Malformed("a character that bech32 does not have")
    lower = text.lower()
    if text != lower and not text.isupper():
        raise Malformed("upper and lower case are mixed")
    hrp, separator, tail = lower.rpartition("1")
    digits = len(tail)
    try:
        number = int(tail.translate(_AS_BASE32) or "0", 32)
    except ValueError:
        raise Malformed("a character that bech32 does not have") from None
    if not separator or not hrp:
        raise Malformed("a character that bech32 does not have")
    if digits < 7:
        raise Malformed("too short: there is no witness version")
    version = _checked_version(_remainder(hrp, number, digits), number >> 5 * (digits - 1))
    return hrp, version, _program(number >> 30 & (1 << 5 * (digits - 7)) - 1, digits - 7)


def _checked_version(remainder: int, version: int) -> int:
    if remainder not in {Checksum.BECH32, Checksum.BECH32M}:
        raise Malformed("the checksum does not match: mistyped or cut")
    if version > 16:
        raise Malformed(f"witness version {version}: there are none above 16")
    if version == 0 and remainder == Checksum.BECH32M:
        raise Malformed("a bech32m checksum on witness version 0, which has bech32 (BIP 350)")
    if version > 0 and remainder == Checksum.BECH32:
        raise Malformed(f"a bech32 checksum on witness version {version}, which has bech32m (BIP 350)")
    return version


def _program(number: int, digits: int) -> bytes:
    padding = digits * 5 % 8
    if padding > 4 or number & (1 << padding) - 1:
        raise Malformed("the padding at the end is not empty (BIP 173)")
    program = (number >> padding).to_bytes(digits * 5 // 8, "big")
    if not 2 <= len(program) <= 40:
        raise Malformed(f"a witness program of {len(program)} bytes: it has 2 to 40")
    return program
