"""What a script_pubkey is, as far as its bytes say."""

from __future__ import annotations

from hashlib import sha256

from watcher.bitcoin.types import ScriptHash

_OP_RETURN = 0x6A
_OP_CHECKSIG = 0xAC
_OP_CHECKMULTISIG = 0xAE
_LONGEST = 10_000  # consensus: a longer script cannot run (MAX_SCRIPT_SIZE)


def scripthash(script_pubkey: bytes) -> ScriptHash:
    """The name an Electrum server knows a script by: its SHA-256, reversed, in hex."""
    return ScriptHash(sha256(script_pubkey).digest()[::-1].hex())


def is_unspendable(script_pubkey: bytes) -> bool:
    """Whether no one can ever spend it: it begins with OP_RETURN or is longer than a script may be."""
    return script_pubkey[:1] == b"\x6a" or len(script_pubkey) > _LONGEST


def witness_program(script_pubkey: bytes) -> tuple[int, bytes] | None:
    """The witness version and program, or None where it is no witness script (BIP 141)."""
    size = len(script_pubkey)
    if not 4 <= size <= 42 or script_pubkey[1] != size - 2:
        return None
    opcode = script_pubkey[0]
    if opcode == 0:
        return 0, script_pubkey[2:]
    if 0x51 <= opcode <= 0x60:
        return opcode - 0x50, script_pubkey[2:]
    return None


def script_kind(script_pubkey: bytes) -> str:
    """One of p2pkh, p2sh, p2wpkh, p2wsh, p2tr, p2a, witness, p2pk, multisig, op_return, other.

    `witness` is a version or length without a meaning yet; `multisig` is the bare form.
    """
    if (witness := witness_program(script_pubkey)) is not None:
        return _witness_kind(*witness)
    if is_p2pkh(script_pubkey):
        return "p2pkh"
    if is_p2sh(script_pubkey):
        return "p2sh"
    if script_pubkey[:1] == bytes([_OP_RETURN]):
        return "op_return"
    if (
        len(script_pubkey) in {35, 67}
        and _keys(script_pubkey[:-1]) == 1
        and script_pubkey[-1] == _OP_CHECKSIG
    ):
        return "p2pk"
    return "multisig" if _is_multisig(script_pubkey) else "other"


def is_p2pkh(script_pubkey: bytes) -> bool:
    """Whether it is OP_DUP OP_HASH160 <20 bytes> OP_EQUALVERIFY OP_CHECKSIG."""
    return (
        len(script_pubkey) == 25
        and script_pubkey.startswith(b"\x76\xa9\x14")
        and script_pubkey.endswith(b"\x88\xac")
    )


def is_p2sh(script_pubkey: bytes) -> bool:
    """Whether it is OP_HASH160 <20 bytes> OP_EQUAL."""
    return len(script_pubkey) == 23 and script_pubkey.startswith(b"\xa9\x14") and script_pubkey[-1] == 0x87


def _witness_kind(version: int, program: bytes) -> str:
    match version, len(program):
        case 0, 20:
            return "p2wpkh"
        case 0, 32:
            return "p2wsh"
        case 1, 32:
            return "p2tr"
        case 1, 2 if program == b"\x4e\x73":
            return "p2a"
        case _:
            return "witness"


def _is_multisig(script_pubkey: bytes) -> bool:
    if len(script_pubkey) < 37 or script_pubkey[-1] != _OP_CHECKMULTISIG:
        return False
    needed, total = script_pubkey[0] - 0x50, script_pubkey[-2] - 0x50
    return 1 <= needed <= total <= 16 and _keys(script_pubkey[1:-2]) == total


def _keys(pushes: bytes) -> int | None:
    """How many public keys are pushed one after the other, or None if something else is there."""
    at = count = 0
    while at < len(pushes):
        size = pushes[at]
        form = pushes[at + 1 : at + 2]
        if not (size == 33 and form in {b"\2", b"\3"}) and not (size == 65 and form == b"\4"):
            return None
        at += 1 + size
        count += 1
    return count if at == len(pushes) else None
