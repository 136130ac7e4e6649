"""Bitcoin's double SHA-256, and the order in which its digests are written."""

from __future__ import annotations

from hashlib import sha256


def sha256d(content: bytes) -> bytes:
    """The 32-byte SHA-256 of the SHA-256 of `content`, in the order it was hashed (wire order)."""
    return sha256(sha256(content).digest()).digest()


def display(digest: bytes) -> str:
    """A digest as people and servers write it: reversed, 64 lower-case hex digits for 32 bytes."""
    return digest[::-1].hex()
