"""Whether an unconfirmed spend of our coin is signed rightly under the script it spends.

Anyone can send us a transaction that spends our coin; only whoever holds the key can sign it. The verdict is
consensus's and not a relay policy's: a high S, an odd hash type or a hybrid key is valid here. It is

- VALID: the signatures of one of the scripts known here hold: P2PK, P2PKH, multisig of at most 20 keys,
  each bare, in P2SH, P2WSH or P2SH-P2WSH; P2WPKH and P2SH-P2WPKH; taproot's key path.
- FALSE: a signature is missing or wrong, a commitment (key hash, script hash, taproot output) does not hold,
  or the witness has a form that no block may have.
- UNDECIDABLE: any other script, a leaf of a taproot tree, a coin that is not known, or too much work.

Laws: the same bytes always give the same verdict, and nothing but `Malformed` is raised for bytes from
outside. The work is bounded: nothing heavier than what nodes relay, 500 inputs at most, 20 keys each. The
worst takes a second (500 inputs, each signed for the last of 20 keys tried), and only who has the keys can
write it: `judge_spend` stops at the first input that is false, 2 ms into a forgery.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from coincurve import PublicKeyXOnly

from watcher.bitcoin.ecdsa import hash160, is_signed
from watcher.bitcoin.script_forms import KeyHash, Keys, form_of, pushes_of
from watcher.bitcoin.scripts import is_p2sh, witness_program
from watcher.bitcoin.sighash import TAPROOT_TYPES, Digests, sized, tagged
from watcher.bitcoin.transactions import Transaction, parse_transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from watcher.bitcoin.transactions import TxOutput
    from watcher.bitcoin.types import Outpoint

MOST_INPUTS: Final = 500  # of one transaction; of a heavier one nothing is judged
MOST_WEIGHT: Final = 400_000  # MAX_STANDARD_TX_WEIGHT: nodes relay nothing heavier
_LONGEST_ITEM = 520  # MAX_SCRIPT_ELEMENT_SIZE
_LONGEST_SCRIPT = 10_000  # MAX_SCRIPT_SIZE
_MOST_PUSHES = 900  # consensus has 1,000 on the stack at once, those of the script itself among them
_DEEPEST = 128  # BIP 341: the levels of a tree of scripts


class Verdict(StrEnum):
    """What can be said of a spend by its bytes and the coins it spends."""

    VALID = "valid"
    FALSE = "false"
    UNDECIDABLE = "undecidable"


def judge_spend(raw: bytes, ours: Collection[int], spent: Mapping[Outpoint, TxOutput]) -> Verdict:
    """The verdict on our inputs of a whole transaction: FALSE where one is false, VALID where all are valid.

    `spent` are the coins that are known, ours among them; taproot needs those of all inputs (ANYONECANPAY
    aside), every other script its own alone. Without an input of ours it is UNDECIDABLE.
    `Malformed` where the bytes are no transaction, ValueError where it has no such input.
    """
    transaction = parse_transaction(raw)
    inputs = transaction.inputs
    if not all(0 <= index < len(inputs) for index in ours):
        raise ValueError(f"inputs {sorted(ours)} of {len(inputs)}")
    if not ours or _is_too_much(transaction, raw):
        return Verdict.UNDECIDABLE
    judge = _Judge(transaction, [spent.get(tx_input.outpoint) for tx_input in inputs])
    whole = Verdict.VALID
    for index in sorted(set(ours)):
        verdict = judge.verdict(index)
        if verdict is Verdict.FALSE:
            return verdict
        if verdict is Verdict.UNDECIDABLE:
            whole = verdict
    return whole


def _is_too_much(transaction: Transaction, raw: bytes) -> bool:
    weight = 3 * len(transaction.stripped) + len(raw)
    return weight > MOST_WEIGHT or len(transaction.inputs) > MOST_INPUTS


_OF: Final = {True: Verdict.VALID, False: Verdict.FALSE}


@dataclass(frozen=True, slots=True)
class _Unlocking:
    """The items that meet a script, what of it is signed, and whether no item may be left over."""

    items: Sequence[bytes]
    digest: Callable[[int], bytes]
    clean: bool


class _Judge:
    """The judge of one transaction, input by input."""

    def __init__(self, transaction: Transaction, spent: Sequence[TxOutput | None]) -> None:
        self._transaction = transaction
        self._spent = spent
        self._digests = Digests(transaction, spent)

    def verdict(self, index: int) -> Verdict:
        """The verdict on one input."""
        coin = self._spent[index]
        if coin is None:
            return Verdict.UNDECIDABLE
        script_sig = self._transaction.inputs[index].script_sig
        program = witness_program(coin.script_pubkey)
        if program is None:
            return self._by_script_sig(index, coin.script_pubkey, script_sig)
        if script_sig and _is_known(program):
            return Verdict.FALSE  # BIP 141: a native witness program has no other unlocking
        return self._witness(index, *program)

    def _by_script_sig(self, index: int, script: bytes, script_sig: bytes) -> Verdict:
        if len(script_sig) > _LONGEST_SCRIPT:
            return Verdict.FALSE
        pushes = pushes_of(script_sig)
        if is_p2sh(script) and not pushes:
            return Verdict.FALSE  # BIP 16: pushes and nothing else, the last one being the script
        if pushes is None or len(pushes) > _MOST_PUSHES:
            return Verdict.UNDECIDABLE
        if is_p2sh(script):
            return self._script_hash(index, script[2:22], pushes)
        return self._legacy(index, script, pushes)

    def _script_hash(self, index: int, committed: bytes, pushes: Sequence[bytes]) -> Verdict:
        redeem = pushes[-1]
        if len(redeem) > _LONGEST_ITEM or hash160(redeem) != committed:
            return Verdict.FALSE
        if (program := witness_program(redeem)) is None:
            return self._legacy(index, redeem, pushes[:-1])
        version, content = program
        if version:
            return Verdict.UNDECIDABLE  # taproot is native alone: any other is free for all, so far
        if self._transaction.inputs[index].script_sig != bytes([len(redeem)]) + redeem:
            return Verdict.FALSE  # BIP 141: one plain push
        return self._witness(index, version, content)

    def _legacy(self, index: int, script: bytes, items: Sequence[bytes]) -> Verdict:
        form = form_of(script)
        if form is None:
            return Verdict.UNDECIDABLE
        if self._stack(index):
            return Verdict.FALSE  # BIP 141: a witness where there is no witness program
        return _unlocks(
            form, _Unlocking(items, lambda kind: self._digests.legacy(index, script, kind), clean=False)
        )

    def _witness(self, index: int, version: int, program: bytes) -> Verdict:
        match version, len(program):
            case 0, 20:
                script = b"\x76\xa9\x14" + program + b"\x88\xac"
                return self._segwit(index, script, self._stack(index))
            case 0, 32:
                stack = self._stack(index)
                if not stack or sha256(stack[-1]).digest() != program or len(stack[-1]) > _LONGEST_SCRIPT:
                    return Verdict.FALSE
                return self._segwit(index, stack[-1], stack[:-1])
            case 1, 32:
                return self._taproot(index, program)
            case _:
                return Verdict.UNDECIDABLE

    def _segwit(self, index: int, script: bytes, items: Sequence[bytes]) -> Verdict:
        form, coin = form_of(script), self._spent[index]
        if form is None or coin is None:
            return Verdict.UNDECIDABLE
        sats = coin.sats
        return _unlocks(
            form, _Unlocking(items, lambda kind: self._digests.segwit(index, script, sats, kind), clean=True)
        )

    def _taproot(self, index: int, program: bytes) -> Verdict:
        stack = self._stack(index)
        annex = None
        if len(stack) >= 2 and stack[-1][:1] == b"\x50":
            stack, annex = stack[:-1], stack[-1]
        if len(stack) != 1:
            # a script's own conditions are not judged here, but whether it is one of this coin's
            is_committed = len(stack) > 1 and _commits(program, stack[-2], stack[-1])
            return Verdict.UNDECIDABLE if is_committed else Verdict.FALSE
        signature, kind = stack[0][:64], stack[0][64:]
        hash_type = kind[0] if kind else 0
        if len(stack[0]) not in {64, 65} or kind == b"\0" or hash_type not in TAPROOT_TYPES:
            return Verdict.FALSE
        if not self._digests.knows_coins(index, hash_type):
            return Verdict.UNDECIDABLE
        digest = self._digests.taproot(index, hash_type, annex)
        key = _x_only(program)
        return _OF[digest is not None and key is not None and key.verify(signature, digest)]

    def _stack(self, index: int) -> Sequence[bytes]:
        witnesses = self._transaction.witnesses
        return witnesses[index] if witnesses else ()


def _is_known(program: tuple[int, bytes]) -> bool:
    version, content = program
    return (version, len(content)) in {(0, 20), (0, 32), (1, 32)}


def _unlocks(form: KeyHash | Keys, by: _Unlocking) -> Verdict:
    """Whether these items unlock a script of a known form."""
    items = by.items
    if any(len(item) > _LONGEST_ITEM for item in items):
        return Verdict.FALSE
    wanted = form.items
    if len(items) < wanted or (by.clean and len(items) != wanted):
        return Verdict.FALSE
    items = items[len(items) - wanted :]
    if isinstance(form, KeyHash):
        signature, key = items
        return _OF[hash160(key) == form.hash and is_signed([signature], [key], by.digest)]
    if not form.is_multisig:
        return _OF[is_signed(items, form.keys, by.digest)]
    dummy, *signatures = items
    return _OF[not dummy and is_signed(signatures, form.keys, by.digest)]  # BIP 147: the dummy is empty


def _commits(program: bytes, script: bytes, control: bytes) -> bool:
    """Whether a taproot output commits to this script, by the branch in the control block (BIP 341)."""
    levels, rest = divmod(len(control) - 33, 32)
    if levels < 0 or rest or levels > _DEEPEST:
        return False
    node = tagged("TapLeaf", bytes([control[0] & 0xFE]) + sized(script))
    for at in range(33, len(control), 32):
        node = tagged("TapBranch", b"".join(sorted((node, control[at : at + 32]))))
    key = _x_only(control[1:33])
    if key is None:
        return False
    try:
        key.tweak_add(tagged("TapTweak", control[1:33] + node))
    except ValueError:
        return False
    return key.format() == program and key.parity == bool(control[0] & 1)


def _x_only(content: bytes) -> PublicKeyXOnly | None:
    """The key these 32 bytes are, or None where they are none."""
    try:
        return PublicKeyXOnly(content)
    except ValueError:
        return None
