"""Broken frames made of right ones: pieces exchanged, doubled, dropped, and bytes bent.

Fast before all: a million a parser in a minute or two, so chance is asked for once a decision.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_PIECES: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.0-9eE]+|[A-Za-z]+|\s+|[^"]|"', re.DOTALL)
_TOKENS: Final = (
    b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"-1", b"-2", b"0", b"1",
    b"1.0", b"1.5", b"2147483647", b"2147483648", b"4294967296", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"9" * 400, b'""', b'"5"', b"[]", b"{}", b"[[", b"]]",
    b"{", b"}", b",", b":", b'"', b'"' + b"ab" * 32 + b'"', b'"' + b"AB" * 32 + b'"',
    b'"' + b"0" * 63 + b'"', b'"' + b"f" * 66 + b'"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"',
    b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\0", b"\n", b"\xff\xfe", b"[" * 3_000, b'{"a":' * 1_500,
    b'"height"', b'"id"', b'"result"', b'"error"', b'"method"',
)  # fmt: skip
_ENDS: Final = (0, 1, 2, 0x4B, 0x4C, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF)


class Mutants:
    """Endless; the same for the same seeds and draw. `binary` leaves text's pieces alone."""

    def __init__(self, seeds: Sequence[bytes], draw: Random, *, binary: bool = False) -> None:
        self._seeds = [(seed, () if binary else tuple(_PIECES.findall(seed))) for seed in seeds]
        self._random = draw.random

    def __next__(self) -> bytes:
        chance = self._random
        seed, pieces = self._seeds[int(chance() * len(self._seeds))]
        if pieces and chance() < 0.6:
            frame = self._exchanged(list(pieces))
            if chance() < 0.7:
                return frame
            return self._bent(bytearray(frame))
        return self._bent(bytearray(seed))

    def _exchanged(self, pieces: list[bytes]) -> bytes:
        chance = self._random
        while True:
            at = int(chance() * len(pieces))
            what = chance()
            if what < 0.6:
                pieces[at] = _TOKENS[int(chance() * len(_TOKENS))]
            elif what < 0.75:
                pieces[at] = b""
            elif what < 0.9:
                pieces[at] = pieces[int(chance() * len(pieces))]
            else:
                until = at + 1 + int(chance() * 12)
                pieces[at:at] = pieces[at:until] * (1 + int(chance() * 3))
            if chance() < 0.6:
                return b"".join(pieces)

    def _bent(self, frame: bytearray) -> bytes:
        chance = self._random
        while frame:
            at = int(chance() * len(frame))
            what = chance()
            if what < 0.35:
                frame[at] = int(chance() * 256)
            elif what < 0.5:
                frame[at] ^= 1 << int(chance() * 8)
            elif what < 0.65:
                frame[at] = _ENDS[int(chance() * len(_ENDS))]
            elif what < 0.8:
                del frame[at : at + 1 + int(chance() * 9)]
            elif what < 0.9:
                frame[at:at] = frame[at : at + 1 + int(chance() * 30)]
            else:
                del frame[at:]
            if chance() < 0.5:
                break
        return bytes(frame)
