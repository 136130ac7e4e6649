"""ECDSA as consensus has it: strict DER (BIP 66), any S, any key that libsecp256k1 reads."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from coincurve import PublicKey
from embit.hashes import ripemd160

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def hash160(content: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: what P2PKH, P2SH and P2WPKH commit to; 20 bytes."""
    digest: bytes = ripemd160(sha256(content).digest())
    return digest


def is_signed(signatures: Sequence[bytes], keys: Sequence[bytes], digest: Callable[[int], bytes]) -> bool:
    """Whether each signature is by a key of its own, both in one order, as OP_CHECKMULTISIG has it.

    `signatures` are DER and a last byte for the hash type; `digest` gives the 32 bytes signed under a hash
    type. No more than one verification a key.
    """
    digests: dict[int, bytes] = {}
    left = len(keys)
    for count in range(len(signatures), 0, -1):
        numbers = _numbers(signatures[count - 1])
        if numbers is None:
            return False
        hash_type = signatures[count - 1][-1]
        if hash_type not in digests:
            digests[hash_type] = digest(hash_type)
        plain = _low_der(*numbers)
        while True:
            if left < count:  # more signatures than keys are left
                return False
            left -= 1
            if _verifies(keys[left], plain, digests[hash_type]):
                break
    return True


def _verifies(key: bytes, signature: bytes, digest: bytes) -> bool:
    try:
        return PublicKey(key).verify(signature, digest, hasher=None)
    except ValueError:
        return False  # no key


def _numbers(signature: bytes) -> tuple[int, int] | None:
    """R and S of a signature with its hash type, or None where consensus refuses its form or numbers."""
    if not 9 <= len(signature) <= 73 or signature[0] != 0x30 or signature[1] != len(signature) - 3:
        return None
    r = _integer(signature, 2)
    if r is None:
        return None
    s = _integer(signature, 4 + signature[3])
    if s is None or 6 + signature[3] + signature[5 + signature[3]] != len(signature) - 1:
        return None
    return (r, s) if 0 < r < _ORDER and 0 < s < _ORDER else None


def _integer(signature: bytes, at: int) -> int | None:
    """The integer that begins here: tagged, not empty, not negative, in its shortest form (BIP 66)."""
    if at + 2 >= len(signature) or signature[at] != 0x02:
        return None
    size = signature[at + 1]
    content = signature[at + 2 : at + 2 + size]
    if not size or at + 2 + size > len(signature) - 1 or content[0] & 0x80:
        return None
    if size > 1 and content[0] == 0 and not content[1] & 0x80:
        return None
    return int.from_bytes(content, "big")


def _low_der(r: int, s: int) -> bytes:
    """The same signature with the lower S, the only one libsecp256k1 verifies."""
    body = b"".join(_der_integer(number) for number in (r, min(s, _ORDER - s)))
    return bytes([0x30, len(body)]) + body


def _der_integer(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([0x02, len(content)]) + content
