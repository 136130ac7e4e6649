"""Each script by what consensus says of it: keys and scripts of strangers, multisig, odd forms, taproot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.bitcoin.signing import (
    FORMS,
    KEYS,
    assembled,
    flips,
    judge_input,
    judged,
    multisig,
    p2pkh,
    p2sh,
    p2wsh,
    push,
    signed,
    unlocked,
    with_leaf,
)
from watcher.bitcoin.sighash import Digests
from watcher.bitcoin.signatures import Verdict
from watcher.bitcoin.transactions import parse_transaction

if TYPE_CHECKING:
    from coincurve import PrivateKey

VALID, FALSE, UNDECIDABLE = Verdict.VALID, Verdict.FALSE, Verdict.UNDECIDABLE
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


# Strangers, and scripts that are not judged


def test_a_wrong_key_or_script_is_false() -> None:
    stranger = KEYS[9].public_key.format()
    signature = signed("p2pkh").signatures[0]
    key, redeem = KEYS[0].public_key.format(), push(stranger) + b"\xac"
    assert unlocked(p2pkh(stranger), script_sig=push(signature) + push(key)) is FALSE
    assert unlocked(p2sh(b"\x51"), script_sig=push(signature) + push(redeem)) is FALSE
    assert unlocked(p2wsh(b"\x51"), witness=(signature, redeem)) is FALSE
    assert (
        unlocked(p2sh(p2wsh(b"\x51")), script_sig=push(p2wsh(redeem)), witness=(signature, redeem)) is FALSE
    )
    assert unlocked(b"\0\x14" + bytes(20), witness=(signature, key)) is FALSE
    assert unlocked(p2sh(b"\x51"), script_sig=push(bytes(521))) is FALSE


@pytest.mark.parametrize(("signer", "verdict"), [(0, VALID), (9, FALSE)])
def test_whoever_signs_with_a_key_of_his_own_brings_the_wrong_hash(signer: int, verdict: Verdict) -> None:
    owner, theirs = KEYS[0].public_key.format(), KEYS[signer].public_key.format()
    digests = Digests(parse_transaction(assembled()))

    def signature(message: bytes) -> bytes:
        return KEYS[signer].sign(message, hasher=None) + b"\1"

    by_key = signature(digests.legacy(1, p2pkh(owner), 1))
    assert unlocked(p2pkh(owner), script_sig=push(by_key) + push(theirs)) is verdict

    program = b"\0\x14" + p2pkh(owner)[3:23]
    witness = (signature(digests.segwit(1, p2pkh(owner), 70_000, 1)), theirs)
    assert unlocked(program, witness=witness) is verdict
    assert unlocked(p2sh(program), script_sig=push(program), witness=witness) is verdict

    locked, brought = push(owner) + b"\xac", push(theirs) + b"\xac"
    by_script = signature(digests.legacy(1, brought, 1))
    assert unlocked(p2sh(locked), script_sig=push(by_script) + push(brought)) is verdict

    witness = (signature(digests.segwit(1, brought, 70_000, 1)), brought)
    assert unlocked(p2wsh(locked), witness=witness) is verdict
    nested = p2wsh(brought)
    assert unlocked(p2sh(p2wsh(locked)), script_sig=push(nested), witness=witness) is verdict


def test_a_nested_witness_program_is_pushed_plainly_and_alone() -> None:
    spend = signed("p2sh p2wpkh")
    transaction = parse_transaction(spend.raw)
    plain, witness = transaction.inputs[1].script_sig, transaction.witnesses[1]
    for script_sig, verdict in ((plain, VALID), (b"\0" + plain, FALSE), (b"\x4c" + plain, FALSE)):
        raw = assembled(script_sig=script_sig, witness=witness)
        assert judge_input(raw, 1, spend.spent) is verdict


def test_no_item_is_longer_than_520_bytes_and_no_script_sig_longer_than_10_000() -> None:
    spend = signed("p2pkh")
    script_sig = parse_transaction(spend.raw).inputs[1].script_sig
    for size, verdict in ((520, VALID), (521, FALSE)):
        raw = assembled(script_sig=push(bytes(size)) + script_sig)
        assert judge_input(raw, 1, spend.spent) is verdict
    for pushes, verdict in ((19, VALID), (20, FALSE)):
        raw = assembled(script_sig=push(bytes(510)) * pushes + script_sig)
        assert judge_input(raw, 1, spend.spent) is verdict
    many = assembled(script_sig=b"\0" * 1_000 + script_sig)
    assert judge_input(many, 1, spend.spent) is UNDECIDABLE

    publics = [key.public_key.format() for key in KEYS]
    for keys, verdict in ((15, VALID), (16, FALSE)):  # 513 and 547 bytes
        script = multisig(1, publics[:keys])
        message = Digests(parse_transaction(assembled())).legacy(1, script, 1)
        signature = KEYS[0].sign(message, hasher=None) + b"\1"
        unlocking = b"\0" + push(signature) + push(script)
        assert unlocked(p2sh(script), script_sig=unlocking) is verdict


@pytest.mark.parametrize(
    "script", [b"\x51", b"\x76\xac", b"\x6a", b"", multisig(2, [b"\2" * 33]), b"\x00\xac"]
)
def test_other_scripts_are_undecidable_and_never_false(script: bytes) -> None:
    assert unlocked(script, script_sig=b"\x51") is UNDECIDABLE
    assert unlocked(p2sh(script), script_sig=b"\x51" + push(script)) is UNDECIDABLE
    assert unlocked(p2wsh(script), witness=(b"\1", script)) is UNDECIDABLE
    program = p2wsh(script)
    assert unlocked(p2sh(program), script_sig=push(program), witness=(script,)) is UNDECIDABLE


@pytest.mark.parametrize("program", [b"\x51\x02\x4e\x73", b"\x52\x20" + bytes(32), b"\0\x10" + bytes(16)])
def test_witness_programs_without_a_meaning_here_are_undecidable(program: bytes) -> None:
    assert unlocked(program) is UNDECIDABLE
    assert unlocked(p2sh(program), script_sig=push(program)) is UNDECIDABLE


def test_taproot_in_p2sh_is_no_taproot() -> None:
    program = b"\x51\x20" + KEYS[0].public_key_xonly.format()
    assert unlocked(p2sh(program), script_sig=push(program), witness=(bytes(64),)) is UNDECIDABLE


def test_p2sh_takes_pushes_and_nothing_else() -> None:
    key = push(KEYS[0].public_key.format()) + b"\xac"
    assert unlocked(p2sh(key), script_sig=b"\x61" + push(key)) is FALSE
    assert unlocked(p2sh(key), script_sig=push(key)[:-1]) is FALSE
    assert unlocked(key, script_sig=b"\x61") is UNDECIDABLE


# Multisig


@pytest.mark.parametrize(("needed", "keys"), [(1, 1), (1, 3), (2, 3), (3, 3), (15, 15), (16, 16), (11, 20)])
def test_multisig_of_up_to_twenty_keys(needed: int, keys: int) -> None:
    forms = [form for form in FORMS if "multisig" in form and (keys < 16 or form != "p2sh multisig")]
    for form in forms:
        spend = signed(form, needed=needed, keys=keys)
        assert judged(spend) is VALID
        assert judged(spend.with_bytes(spend.signatures[0], flips(spend.signatures[0])[99])) is FALSE


def test_multisig_signatures_stand_in_the_order_of_the_keys() -> None:
    spend = signed("bare multisig")
    first, second = spend.signatures
    coin = spend.spent[1]
    assert coin is not None
    assert unlocked(coin.script_pubkey, script_sig=b"\0" + push(first) + push(second)) is VALID
    assert unlocked(coin.script_pubkey, script_sig=b"\0" + push(second) + push(first)) is FALSE
    assert unlocked(coin.script_pubkey, script_sig=b"\0" + push(first) * 2) is FALSE
    assert unlocked(coin.script_pubkey, script_sig=b"\0" + push(first)) is FALSE
    assert unlocked(coin.script_pubkey, script_sig=b"\0\0" + push(first)) is FALSE
    assert unlocked(coin.script_pubkey, script_sig=b"\x51" + push(first) + push(second)) is FALSE  # BIP 147


def test_what_is_no_key_signs_nothing_and_hinders_nobody() -> None:
    keys = [b"\2" + b"\xff" * 32, KEYS[0].public_key.format(), b"\7" + bytes(64)]
    script = multisig(1, keys)
    message = Digests(parse_transaction(assembled())).legacy(1, script, 1)
    right = KEYS[0].sign(message, hasher=None) + b"\1"
    assert unlocked(script, script_sig=b"\0" + push(right)) is VALID
    wrong = KEYS[1].sign(message, hasher=None) + b"\1"
    assert unlocked(script, script_sig=b"\0" + push(wrong)) is FALSE


# What consensus allows though nodes do not relay it, and what it does not


def by_hand(*, hash_type: int = 1, key: PrivateKey = KEYS[0], high: bool = False) -> tuple[bytes, int, int]:
    """The legacy digest of a P2PK spend signed so: its script, R and S."""
    script = push(key.public_key.format()) + b"\xac"
    message = Digests(parse_transaction(assembled())).legacy(1, script, hash_type)
    signature = key.sign(message, hasher=None)
    size = signature[3]
    r, s = int.from_bytes(signature[4 : 4 + size], "big"), int.from_bytes(signature[6 + size :], "big")
    return script, r, ORDER - s if high else s


def der(*numbers: bytes, hash_type: int = 1) -> bytes:
    body = b"".join(b"\2" + bytes([len(number)]) + number for number in numbers)
    return b"\x30" + bytes([len(body)]) + body + bytes([hash_type])


def positive(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def test_a_high_s_and_an_odd_hash_type_are_valid() -> None:
    script, r, s = by_hand(high=True)
    assert unlocked(script, script_sig=push(der(positive(r), positive(s)))) is VALID
    for hash_type in (0, 4, 0x1F, 0x40, 0x80, 0xFF):
        script, r, s = by_hand(hash_type=hash_type)
        assert unlocked(script, script_sig=push(der(positive(r), positive(s), hash_type=hash_type))) is VALID


def test_uncompressed_and_hybrid_keys_are_valid() -> None:
    uncompressed = KEYS[0].public_key.format(compressed=False)
    hybrid = bytes([6 + (uncompressed[-1] & 1)]) + uncompressed[1:]
    for key in (uncompressed, hybrid):
        message = Digests(parse_transaction(assembled())).legacy(1, p2pkh(key), 1)
        signature = KEYS[0].sign(message, hasher=None) + b"\1"
        assert unlocked(p2pkh(key), script_sig=push(signature) + push(key)) is VALID


def test_der_is_strict() -> None:
    script, r, s = by_hand()
    right = der(positive(r), positive(s))
    assert unlocked(script, script_sig=push(right)) is VALID
    for wrong in (
        der(b"\0" + positive(r), positive(s)),
        der(positive(r), b"\0" + positive(s)),
        der(positive(r), (s - ORDER).to_bytes(33, "big", signed=True)),
        der(positive(r), positive(s + ORDER)),
        der(positive(r + ORDER), positive(s)),
        der(b"", positive(s)),
        der(positive(r), b""),
        der(b"\0", positive(s)),
        der(positive(r), positive(s), b"\1"),
        right[:-1],
        right + b"\1",
        b"\x31" + right[1:],
        b"",
    ):
        assert unlocked(script, script_sig=push(wrong)) is FALSE


# Taproot


def test_an_annex_is_signed() -> None:
    spend = signed("p2tr", 1, annex=b"\x50annexed")
    assert judged(spend) is VALID
    assert judged(spend.with_bytes(b"annexed", b"Annexed")) is FALSE
    assert judge_input(assembled(witness=spend.signatures), 1, spend.spent) is FALSE


def test_taproot_has_few_hash_types() -> None:
    default = signed("p2tr", 0)
    assert judged(default) is VALID
    assert len(default.signatures[0]) == 64
    for kind in (b"\0", b"\4", b"\x80", b"\1\1"):
        assert judge_input(assembled(witness=(default.signatures[0] + kind,)), 1, default.spent) is FALSE


def test_taproot_single_needs_its_output() -> None:
    signature = signed("p2tr", 3).signatures[0]
    assert judge_input(assembled(witness=(signature,), outputs=1), 1, signed("p2tr", 3).spent) is FALSE


def test_a_leaf_is_undecidable_and_one_that_is_not_committed_to_false() -> None:
    coin, (script, control) = with_leaf(b"\x51")
    assert unlocked(coin.script_pubkey, witness=(script, control)) is UNDECIDABLE
    assert unlocked(coin.script_pubkey, witness=(script, control, b"\x50")) is UNDECIDABLE
    for other_script, other_control in (
        (b"\x52", control),
        (script, control[:-1]),
        (script, control[:1]),
        (script, control + bytes(31)),
        (script, control + bytes(32)),
        (script, control + bytes(32 * 129)),
        (script, bytes([control[0] ^ 1]) + control[1:]),
        (script, bytes([control[0] ^ 2]) + control[1:]),
        (script, control[:1] + b"\xff" * 32),
    ):
        assert unlocked(coin.script_pubkey, witness=(other_script, other_control)) is FALSE


def leaves_of(tree: Any) -> list[Any]:
    return [tree] if isinstance(tree, dict) else [leaf for branch in tree or () for leaf in leaves_of(branch)]


def test_the_trees_of_bip_341_are_walked(bip_341: Any) -> None:
    walked = 0
    for vector in bip_341["scriptPubKey"]:
        coin = bytes.fromhex(vector["expected"]["scriptPubKey"])
        leaves = leaves_of(vector["given"]["scriptTree"])
        for leaf in leaves:
            script = bytes.fromhex(leaf["script"])
            for number, block in enumerate(vector["expected"]["scriptPathControlBlocks"]):
                verdict = unlocked(coin, witness=(script, bytes.fromhex(block)))
                assert verdict is (UNDECIDABLE if number == leaf["id"] else FALSE)
                walked += 1
    assert walked > 10
