"""Extended public keys (BIP 32) and what their prefix says (SLIP 132).

No message repeats the text it refuses: a private key pasted by mistake must not reach a log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.encoding import base58check_decode, base58check_encode
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_DEPTH: Final = 255  # one byte of the serialization
_SIZE: Final = 78
# what private keys look like, also mistyped ones: extended (SLIP 132) and single (wallet import format)
_PRIVATE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[A-Za-z]prv[0-9A-Za-z]+|[5KL9c][1-9A-HJ-NP-Za-km-z]{50,51})(?![0-9A-Za-z])"
)


class Purpose(StrEnum):
    """Which scripts a wallet makes of its keys."""

    PKH = "BIP 44"
    SH_WPKH = "BIP 49"
    WPKH = "BIP 84"


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """A public key with its chain code; `text` is its neutral form (xpub, tpub) whatever its `prefix` was."""

    prefix: str
    purpose: Purpose
    depth: int
    text: str


@dataclass(frozen=True, slots=True)
class _Version:
    prefix: str
    mainnet: bool
    purpose: Purpose | None  # None: of a multisignature wallet, whose other keys it does not know


_PUBLIC: Final[Mapping[int, _Version]] = {
    0x0488B21E: _Version("xpub", mainnet=True, purpose=Purpose.PKH),
    0x049D7CB2: _Version("ypub", mainnet=True, purpose=Purpose.SH_WPKH),
    0x04B24746: _Version("zpub", mainnet=True, purpose=Purpose.WPKH),
    0x0295B43F: _Version("Ypub", mainnet=True, purpose=None),
    0x02AA7ED3: _Version("Zpub", mainnet=True, purpose=None),
    0x043587CF: _Version("tpub", mainnet=False, purpose=Purpose.PKH),
    0x044A5262: _Version("upub", mainnet=False, purpose=Purpose.SH_WPKH),
    0x045F1CF6: _Version("vpub", mainnet=False, purpose=Purpose.WPKH),
    0x024289EF: _Version("Upub", mainnet=False, purpose=None),
    0x02575483: _Version("Vpub", mainnet=False, purpose=None),
}
_NEUTRAL: Final = {True: 0x0488B21E, False: 0x043587CF}


def refuse_private_keys(text: str) -> None:
    """`Malformed` where the text holds anything that looks like a private key."""
    if _PRIVATE.search(text):
        raise Malformed("a private key: never write one here; watching needs the public one (xpub, zpub, …)")


def decode_extended_key(text: str, network: Network) -> ExtendedKey:
    """The key of this network; `Malformed` says why not. Whether it lies on the curve is not looked at."""
    refuse_private_keys(text)
    payload = base58check_decode(text)
    version = int.from_bytes(payload[:4], "big")
    if len(payload) != _SIZE or version not in _PUBLIC:
        raise Malformed("not an extended public key: xpub, ypub, zpub, or tpub, upub, vpub")
    known = _PUBLIC[version]
    if known.mainnet != (network is Network.MAINNET):
        form = "mainnet" if known.mainnet else "testnet"
        raise Malformed(f"a {form} key ({known.prefix}), and the network is {network}")
    if known.purpose is None:
        raise Malformed(f"a {known.prefix} is one key of several: write the descriptor of the whole wallet")
    depth, origin = payload[4], payload[5:13]
    if depth == 0 and any(origin):
        raise Malformed("a key of depth 0 with a parent (BIP 32)")
    if payload[45] not in {2, 3}:
        raise Malformed("its public key is not a compressed one (BIP 32)")
    neutral = base58check_encode(_NEUTRAL[known.mainnet].to_bytes(4, "big") + payload[4:])
    return ExtendedKey(known.prefix, known.purpose, depth, neutral)
