"""Wallets as people publish them, and how far ahead of their use they are watched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.descriptors import MOST_INDEX, Descriptor, parse_descriptor
from watcher.bitcoin.extended_keys import Purpose, decode_extended_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from watcher.bitcoin.networks import Network

_BARE_KEY: Final = re.compile(r"[0-9A-Za-z]*")
_FORMS: Final[Mapping[Purpose, str]] = {
    Purpose.PKH: "pkh({}/<0;1>/*)",
    Purpose.SH_WPKH: "sh(wpkh({}/<0;1>/*))",
    Purpose.WPKH: "wpkh({}/<0;1>/*)",
}
_ACCOUNT_DEPTH: Final = 3  # BIP 44: m / purpose' / coin' / account'


@dataclass(frozen=True, slots=True)
class Wallet:
    """A rule that makes scripts: `branches` sequences of them, endless where `is_ranged`, else of one each.

    `descriptor` is canonical, with checksum: two wallets with the same are the same. It holds no secrets,
    but whoever reads it learns every address.
    """

    descriptor: str
    branches: int
    is_ranged: bool
    notes: tuple[str, ...] = field(compare=False)
    _parsed: Descriptor = field(repr=False, compare=False)

    def script(self, branch: int, index: int) -> bytes:
        """The script_pubkey at an index of a branch; ValueError where there is none."""
        return self._parsed.script(branch, index)

    def describe(self) -> str:
        """What it is in a few words, without its keys."""
        branches = "1 branch" if self.branches == 1 else f"{self.branches} branches"
        return (
            f"{self._parsed.kind}, {branches}" if self.is_ranged or self.branches > 1 else self._parsed.kind
        )

    def window(self, used: Collection[tuple[int, int]], gap_limit: int) -> tuple[int, ...]:
        """How many scripts of each branch to watch, given the (branch, index) known to have been used."""
        return window(used, self.branches, gap_limit) if self.is_ranged else (1,) * self.branches


def parse_wallet(text: str, network: Network) -> Wallet:
    """The wallet of a descriptor or of an extended public key alone; `Malformed` says why there is none."""
    if _BARE_KEY.fullmatch(text):
        return _of_extended_key(text, network)
    parsed = parse_descriptor(text, network)
    notes = []
    if not parsed.had_checksum:
        notes.append(
            f"no checksum, so a mistyped path is not noticed: for this text it is #{parsed.checksum}"
        )
    if parsed.is_ranged and parsed.branches == 1:
        notes.append("one branch only: change that goes to another branch counts as gone")
    return _wallet(parsed, notes)


def window(used: Collection[tuple[int, int]], branches: int, gap_limit: int) -> tuple[int, ...]:
    """How many scripts of each branch to watch: `gap_limit` unused ones after the last that was used."""
    counts = [gap_limit] * branches
    for branch, index in used:
        counts[branch] = min(max(counts[branch], index + 1 + gap_limit), MOST_INDEX)
    return tuple(counts)


def _of_extended_key(text: str, network: Network) -> Wallet:
    key = decode_extended_key(text, network)
    notes = []
    if key.purpose is Purpose.PKH:
        notes.append(f"{key.prefix} is read as BIP 44, addresses of P2PKH: for others write wpkh(…) or tr(…)")
    if key.depth != _ACCOUNT_DEPTH:
        notes.append(f"a key of depth {key.depth}, where {key.purpose} has accounts at {_ACCOUNT_DEPTH}")
    return _wallet(parse_descriptor(_FORMS[key.purpose].format(key.text), network), notes)


def _wallet(parsed: Descriptor, notes: list[str]) -> Wallet:
    return Wallet(parsed.text, parsed.branches, parsed.is_ranged, tuple(notes), parsed)
