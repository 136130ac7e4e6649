"""Addresses: the gate through which every watched script comes, so it is strict and says what is wrong.

No message repeats the text it refuses: a private key pasted by mistake must not reach a log.
"""

from __future__ import annotations

from watcher.bitcoin.encoding import (
    BASE58_DIGITS,
    base58check_decode,
    base58check_encode,
    bech32_decode,
    bech32_encode,
)
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.scripts import is_p2pkh, is_p2sh, witness_program
from watcher.bitcoin.types import Malformed

# testnet3, testnet4 and signet share their forms; regtest shares the base58 ones
_HRP_FORMS = {"bc": "mainnet", "tb": "testnet", "bcrt": "regtest"}
_VERSION_FORMS = {0: "mainnet", 5: "mainnet", 111: "testnet", 196: "testnet"}
_SEGWIT_STARTS = ("bc1", "tb1", "bcrt1")


def decode_address(text: str, network: Network) -> bytes:
    """The script_pubkey an address of this network stands for; `Malformed` says in a sentence why none."""
    if not text:
        raise Malformed("an empty address")
    if text.lower().startswith(_SEGWIT_STARTS):
        return _decode_segwit(text, network)
    try:
        return _decode_base58(text, network)
    except Malformed:
        if BASE58_DIGITS.issuperset(text):
            raise
        raise Malformed("neither the prefix bc1, tb1 or bcrt1, nor only the characters of base 58") from None


def encode_address(script_pubkey: bytes, network: Network) -> str | None:
    """The address of a script on this network, or None where the script has none."""
    params = PARAMS[network]
    if (witness := witness_program(script_pubkey)) is not None:
        version, program = witness
        if version == 0 and len(program) not in {20, 32}:
            return None
        return bech32_encode(params.hrp, version, program)
    if is_p2pkh(script_pubkey):
        return base58check_encode(bytes([params.p2pkh_version]) + script_pubkey[3:23])
    if is_p2sh(script_pubkey):
        return base58check_encode(bytes([params.p2sh_version]) + script_pubkey[2:22])
    return None


def _decode_base58(text: str, network: Network) -> bytes:
    params = PARAMS[network]
    payload = base58check_decode(text)
    version, digest = payload[0], payload[1:]
    if version not in _VERSION_FORMS:
        raise Malformed(f"base58 version {version} is of no bitcoin address")
    if len(digest) != 20:
        raise Malformed(f"a hash of {len(digest)} bytes: it has 20")
    if version == params.p2pkh_version:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"
    if version == params.p2sh_version:
        return b"\xa9\x14" + digest + b"\x87"
    raise _of_another_network(_VERSION_FORMS[version], network)


def _decode_segwit(text: str, network: Network) -> bytes:
    hrp, version, program = bech32_decode(text)
    if hrp not in _HRP_FORMS:
        raise Malformed("the prefix before the last 1 is of no bitcoin network")
    if version == 0 and len(program) not in {20, 32}:
        raise Malformed(f"a version 0 witness program of {len(program)} bytes: it has 20 or 32 (BIP 141)")
    if hrp != PARAMS[network].hrp:
        raise _of_another_network(_HRP_FORMS[hrp], network)
    opcode = 0x50 + version if version else 0
    return bytes([opcode, len(program)]) + program


def _of_another_network(form: str, network: Network) -> Malformed:
    return Malformed(f"a {form} address, and the network is {network}")
