"""Spends signed by keys of our own, for each script whose signatures can be judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from coincurve import PrivateKey
from embit.script import Script, Witness
from embit.transaction import Transaction, TransactionInput, TransactionOutput

from watcher.bitcoin.ecdsa import hash160
from watcher.bitcoin.sighash import Digests, tagged
from watcher.bitcoin.signatures import Verdict, judge_spend
from watcher.bitcoin.transactions import TxOutput, parse_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS: Final = [PrivateKey(sha256(bytes([n])).digest()) for n in range(20)]
FORMS: Final = (
    "p2pk",
    "p2pkh",
    "bare multisig",
    "p2sh p2pk",
    "p2sh multisig",
    "p2wpkh",
    "p2sh p2wpkh",
    "p2wsh p2pk",
    "p2wsh p2pkh",
    "p2wsh multisig",
    "p2sh p2wsh multisig",
    "p2tr",
)
LEGACY: Final = ("p2pk", "p2pkh", "bare multisig", "p2sh p2pk", "p2sh multisig")
SPENT: Final = [TxOutput(70_000 + n, b"\x51" + bytes([n])) for n in range(3)]


@dataclass(frozen=True)
class Spend:
    """A transaction whose input `index` spends our coin: its bytes, and the coins of all inputs."""

    raw: bytes
    index: int
    spent: tuple[TxOutput | None, ...]
    signatures: tuple[bytes, ...]

    def with_bytes(self, old: bytes, new: bytes) -> Spend:
        """The same with some of its bytes exchanged for as many others."""
        assert len(old) == len(new)
        assert self.raw.count(old) == 1
        return replace(self, raw=self.raw.replace(old, new))

    def with_coin(self, coin: TxOutput | None, *, at: int | None = None) -> Spend:
        """The same, one coin spent being another."""
        coins = list(self.spent)
        coins[self.index if at is None else at] = coin
        return replace(self, spent=tuple(coins))


def push(content: bytes) -> bytes:
    """The plainest push of it."""
    if not content:
        return b"\0"
    if len(content) < 0x4C:
        return bytes([len(content)]) + content
    if len(content) < 0x100:
        return b"\x4c" + bytes([len(content)]) + content
    return b"\x4d" + len(content).to_bytes(2, "little") + content


def multisig(needed: int, keys: Sequence[bytes]) -> bytes:
    """A script that asks for `needed` signatures."""

    def number(n: int) -> bytes:
        return bytes([0x50 + n]) if n <= 16 else bytes([1, n])

    return number(needed) + b"".join(map(push, keys)) + number(len(keys)) + b"\xae"


def p2pkh(key: bytes) -> bytes:
    """The script that pays to the hash of this key."""
    return b"\x76\xa9\x14" + hash160(key) + b"\x88\xac"


def p2sh(script: bytes) -> bytes:
    """The script that pays to the hash of this script."""
    return b"\xa9\x14" + hash160(script) + b"\x87"


def p2wsh(script: bytes) -> bytes:
    """The same, as a witness program."""
    return b"\0\x20" + sha256(script).digest()


def assembled(
    *,
    script_sig: bytes = b"",
    witness: Sequence[bytes] = (),
    index: int = 1,
    inputs: int = 3,
    outputs: int = 2,
) -> bytes:
    """A transaction that unlocks input `index` so, serialised by embit."""
    vin = [
        TransactionInput((n + 1).to_bytes(2, "big") * 16, n, sequence=0xFFFFFFF0 + n % 3)
        for n in range(inputs)
    ]
    vin[index].script_sig = Script(script_sig)
    vin[index].witness = Witness(list(witness))
    vout = [TransactionOutput(1_000 + n, Script(p2pkh(bytes([n])))) for n in range(outputs)]
    raw: bytes = Transaction(2, vin, vout, 77).serialize()
    return raw


def signed(
    form: str,
    hash_type: int = 1,
    *,
    index: int = 1,
    outputs: int = 2,
    needed: int = 2,
    keys: int = 3,
    annex: bytes | None = None,
) -> Spend:
    """A right spend of a coin of this form; the multisig ones are signed by the last keys."""
    publics = [key.public_key.format() for key in KEYS[:keys]]
    x_only = KEYS[0].public_key_xonly.format()
    one = push(publics[0]) + b"\xac"
    many = multisig(needed, publics)
    inner = many if "multisig" in form else p2pkh(publics[0]) if form.endswith("p2pkh") else one
    program = b"\0\x14" + hash160(publics[0]) if "p2wpkh" in form else p2wsh(inner)
    is_segwit = "w" in form
    script = b"\x51\x20" + x_only if form == "p2tr" else program if is_segwit else inner
    locked = p2sh(script) if form.startswith("p2sh") else script
    spent: list[TxOutput | None] = list(SPENT)
    spent[index] = TxOutput(70_000, locked)
    digests = Digests(parse_transaction(assembled(index=index, outputs=outputs)), spent)
    kind = bytes([hash_type])
    if form == "p2tr":
        digest = digests.taproot(index, hash_type, annex)
        assert digest is not None
        signature = KEYS[0].sign_schnorr(digest) + kind[: hash_type > 0]
        witness = [signature, annex] if annex is not None else [signature]
        return Spend(
            assembled(witness=witness, index=index, outputs=outputs), index, tuple(spent), (signature,)
        )
    code = p2pkh(publics[0]) if "p2wpkh" in form else inner
    message = (
        digests.segwit(index, code, 70_000, hash_type)
        if is_segwit
        else digests.legacy(index, code, hash_type)
    )
    signers = KEYS[keys - needed : keys] if "multisig" in form else KEYS[:1]
    signatures = tuple(key.sign(message, hasher=None) + kind for key in signers)
    items = [b"", *signatures] if "multisig" in form else list(signatures)
    if form.endswith("pkh"):
        items.append(publics[0])
    if "wsh" in form:
        items.append(inner)
    script_sig = b"".join(map(push, items)) if not is_segwit else b""
    if form.startswith("p2sh"):
        script_sig += push(script)
    raw = assembled(script_sig=script_sig, witness=items if is_segwit else (), index=index, outputs=outputs)
    return Spend(raw, index, tuple(spent), signatures)


def with_leaf(script: bytes) -> tuple[TxOutput, list[bytes]]:
    """A taproot coin that commits to one script, and the witness that opens it (without its items)."""
    internal = KEYS[0].public_key_xonly
    leaf = tagged("TapLeaf", b"\xc0" + bytes([len(script)]) + script)
    control = internal.format()
    output = type(internal)(control)
    output.tweak_add(tagged("TapTweak", control + leaf))
    first = bytes([0xC0 | output.parity])
    return TxOutput(70_000, b"\x51\x20" + output.format()), [script, first + control]


def judge_input(raw: bytes, index: int, spent: Sequence[TxOutput | None]) -> Verdict:
    """The verdict on one input alone; `spent` are all coins in their order, None for an unknown one."""
    inputs = parse_transaction(raw).inputs
    known = {i.outpoint: coin for i, coin in zip(inputs, spent, strict=True) if coin is not None}
    return judge_spend(raw, [index], known)


def judged(spend: Spend) -> Verdict:
    """The verdict on it."""
    return judge_input(spend.raw, spend.index, spend.spent)


def unlocked(script: bytes, *, script_sig: bytes = b"", witness: tuple[bytes, ...] = ()) -> Verdict:
    """The verdict on a coin of this script, unlocked so as input 1 of 3."""
    raw = assembled(script_sig=script_sig, witness=witness)
    return judge_input(raw, 1, [None, TxOutput(70_000, script), None])


def flips(signature: bytes) -> list[bytes]:
    """The signature with each of its bits flipped."""
    return [
        bytes([*signature[:at], signature[at] ^ 1 << bit, *signature[at + 1 :]])
        for at in range(len(signature))
        for bit in range(8)
    ]
