"""The five networks and the constants in which they differ (Bitcoin Core, src/kernel/chainparams.cpp)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from watcher.bitcoin.hashing import display, sha256d
from watcher.bitcoin.types import BlockHash

if TYPE_CHECKING:
    from collections.abc import Mapping


class Network(StrEnum):
    """A chain, by the name the configuration gives it."""

    MAINNET = "mainnet"
    TESTNET3 = "testnet3"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


class BitsRule(StrEnum):
    """What a header of the network must state as its difficulty."""

    RETARGET = "retarget"  # exactly what the 2016-block retarget asks for
    STATED = "stated"  # anything up to the limit: the testnets' twenty-minute rule makes it prove little
    LIMIT = "limit"  # the limit, always


@dataclass(frozen=True, slots=True)
class Params:
    """A network's constants; `pow_limit_bits` is the easiest target in its compact form."""

    network: Network
    genesis: BlockHash
    genesis_header: bytes
    hrp: str
    p2pkh_version: int
    p2sh_version: int
    pow_limit_bits: int
    bits_rule: BitsRule

    @property
    def retargets(self) -> bool:
        """Whether the 2016-block retarget is checked here."""
        return self.bits_rule is BitsRule.RETARGET


_MERKLE_ROOT = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
_MERKLE_ROOT_TESTNET4 = "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e"


def _genesis_header(*, time: int, bits: int, nonce: int, merkle_root: str = _MERKLE_ROOT) -> bytes:
    return struct.pack("<I32s32sIII", 1, bytes(32), bytes.fromhex(merkle_root)[::-1], time, bits, nonce)


def _params(
    network: Network, header: bytes, *, hrp: str, versions: tuple[int, int], rule: BitsRule
) -> Params:
    return Params(
        network=network,
        genesis=BlockHash(display(sha256d(header))),
        genesis_header=header,
        hrp=hrp,
        p2pkh_version=versions[0],
        p2sh_version=versions[1],
        # every network's genesis block states the network's limit
        pow_limit_bits=int.from_bytes(header[72:76], "little"),
        bits_rule=rule,
    )


PARAMS: Mapping[Network, Params] = MappingProxyType(
    {
        params.network: params
        for params in (
            _params(
                Network.MAINNET,
                _genesis_header(time=1231006505, bits=0x1D00FFFF, nonce=2083236893),
                hrp="bc",
                versions=(0, 5),
                rule=BitsRule.RETARGET,
            ),
            _params(
                Network.TESTNET3,
                _genesis_header(time=1296688602, bits=0x1D00FFFF, nonce=414098458),
                hrp="tb",
                versions=(111, 196),
                rule=BitsRule.STATED,
            ),
            _params(
                Network.TESTNET4,
                _genesis_header(
                    time=1714777860, bits=0x1D00FFFF, nonce=393743547, merkle_root=_MERKLE_ROOT_TESTNET4
                ),
                hrp="tb",
                versions=(111, 196),
                rule=BitsRule.STATED,
            ),
            _params(
                Network.SIGNET,
                _genesis_header(time=1598918400, bits=0x1E0377AE, nonce=52613770),
                hrp="tb",
                versions=(111, 196),
                rule=BitsRule.RETARGET,
            ),
            _params(
                Network.REGTEST,
                _genesis_header(time=1296688602, bits=0x207FFFFF, nonce=2),
                hrp="bcrt",
                versions=(111, 196),
                rule=BitsRule.LIMIT,
            ),
        )
    }
)
