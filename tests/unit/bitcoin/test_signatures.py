"""Who may spend: right signatures under each script, and each way in which a spend can be false."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.bitcoin.signing import (
    FORMS,
    KEYS,
    LEGACY,
    Spend,
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
)
from watcher.bitcoin.signatures import MOST_INPUTS, Verdict, judge_spend
from watcher.bitcoin.transactions import TxOutput, parse_transaction
from watcher.bitcoin.types import Malformed

VALID, FALSE, UNDECIDABLE = Verdict.VALID, Verdict.FALSE, Verdict.UNDECIDABLE
HASH_TYPES = (1, 2, 3, 0x81, 0x82, 0x83)
VERDICTS_OF_BIP_143 = {
    "P2PK and P2WPKH": [VALID, VALID],
    "P2SH-P2WPKH": [VALID],
    "P2WSH, executed code separator": [VALID, UNDECIDABLE],
    "P2WSH, unexecuted code separator": [UNDECIDABLE, UNDECIDABLE],
    "P2WSH, input-output pairs swapped": [UNDECIDABLE, UNDECIDABLE],
    "P2SH-P2WSH 6-of-6": [VALID],
    "no FindAndDelete, CHECKSIGVERIFY": [UNDECIDABLE],
    "no FindAndDelete, CHECKMULTISIGVERIFY": [UNDECIDABLE],
}


# The vectors


def test_bip_143(sighash_vectors: Any) -> None:
    judgements = {}
    for vector in sighash_vectors["bip143"]["transactions"]:
        spent = [TxOutput(sats, bytes.fromhex(script)) for script, sats in vector["spent"]]
        raw = bytes.fromhex(vector["raw"])
        judgements[vector["name"]] = [judge_input(raw, index, spent) for index in range(len(spent))]
    assert judgements == VERDICTS_OF_BIP_143


def test_bip_143_with_any_bit_of_a_signature_flipped(sighash_vectors: Any) -> None:
    flipped = 0
    for vector in sighash_vectors["bip143"]["transactions"]:
        spent = tuple(TxOutput(sats, bytes.fromhex(script)) for script, sats in vector["spent"])
        raw = bytes.fromhex(vector["raw"])
        transaction = parse_transaction(raw)
        for index, verdict in enumerate(VERDICTS_OF_BIP_143[vector["name"]]):
            items = transaction.witnesses[index] or (transaction.inputs[index].script_sig[1:],)
            signatures = [item for item in items if item[:1] == b"\x30"]
            if verdict is not VALID:
                continue
            spend = Spend(raw, index, spent, tuple(signatures))
            for signature in signatures:
                for other in flips(signature):
                    assert judged(spend.with_bytes(signature, other)) is FALSE
                    flipped += 1
    assert flipped > 10 * 70 * 8


def bip_341_spends(vectors: Any) -> list[Spend]:
    given_ = vectors["keyPathSpending"][0]["given"]
    unsigned = bytes.fromhex(given_["rawUnsignedTx"])
    spent = tuple(
        TxOutput(coin["amountSats"], bytes.fromhex(coin["scriptPubKey"])) for coin in given_["utxosSpent"]
    )
    spends = []
    for vector in vectors["keyPathSpending"][0]["inputSpending"]:
        signature = bytes.fromhex(vector["expected"]["witness"][0])
        index = vector["given"]["txinIndex"]
        stacks = [b"\0"] * len(spent)
        stacks[index] = b"\1" + push(signature)
        raw = unsigned[:4] + b"\0\1" + unsigned[4:-4] + b"".join(stacks) + unsigned[-4:]
        spends.append(Spend(raw, index, spent, (signature,)))
    return spends


def test_bip_341(bip_341: Any) -> None:
    spends = bip_341_spends(bip_341)
    assert [judged(spend) for spend in spends] == [VALID] * 7
    for spend in spends:
        (signature,) = spend.signatures
        assert {judged(spend.with_bytes(signature, other)) for other in flips(signature)} == {FALSE}


def test_bip_341_commits_to_every_coin_but_for_anyonecanpay(bip_341: Any) -> None:
    for spend in bip_341_spends(bip_341):
        alone = len(spend.signatures[0]) == 65 and spend.signatures[0][-1] & 0x80
        other = TxOutput(5, b"\x51")
        assert judged(spend.with_coin(other, at=5)) is (VALID if alone else FALSE)
        assert judged(spend.with_coin(None, at=5)) is (VALID if alone else UNDECIDABLE)


# Our own, for what the vectors leave out


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hash_type", HASH_TYPES)
def test_each_form_and_hash_type(form: str, hash_type: int) -> None:
    spend = signed(form, hash_type)
    assert judged(spend) is VALID
    for signature in spend.signatures:
        assert {judged(spend.with_bytes(signature, other)) for other in flips(signature)[::7]} == {FALSE}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hash_type", HASH_TYPES)
def test_what_is_not_signed_may_change_and_nothing_else(form: str, hash_type: int) -> None:
    spend = signed(form, hash_type)
    kind, alone = hash_type & 3, hash_type & 0x80
    other_output = spend.with_bytes((1_000).to_bytes(8, "little"), (900).to_bytes(8, "little"))
    assert judged(other_output) is (FALSE if kind == 1 else VALID)
    own_output = spend.with_bytes((1_001).to_bytes(8, "little"), (900).to_bytes(8, "little"))
    assert judged(own_output) is (VALID if kind == 2 else FALSE)
    other_input = spend.with_bytes(b"\1\0" * 16, b"\x77" * 32)
    assert judged(other_input) is (VALID if alone else FALSE)
    other_sequence = spend.with_bytes(b"\xf2\xff\xff\xff", b"\xf9\xff\xff\xff")
    taproot_all_sequences = form == "p2tr"
    is_free = alone or (kind != 1 and not taproot_all_sequences)
    assert judged(other_sequence) is (VALID if is_free else FALSE)


@pytest.mark.parametrize("form", FORMS)
def test_the_amount_is_signed_with_a_witness_only(form: str) -> None:
    spend = signed(form)
    coin = spend.spent[spend.index]
    assert coin is not None
    more = spend.with_coin(TxOutput(coin.sats + 1, coin.script_pubkey))
    assert judged(more) is (VALID if form in LEGACY else FALSE)


@pytest.mark.parametrize("form", FORMS)
def test_no_unlocking_at_all_is_false(form: str) -> None:
    spend = signed(form)
    assert judge_input(assembled(), spend.index, spend.spent) is FALSE


@pytest.mark.parametrize("form", FORMS)
def test_an_unknown_coin_is_undecidable(form: str) -> None:
    assert judged(signed(form).with_coin(None)) is UNDECIDABLE


@pytest.mark.parametrize("form", LEGACY)
def test_a_witness_where_none_belongs_is_false(form: str) -> None:
    spend = signed(form)
    script_sig = parse_transaction(spend.raw).inputs[1].script_sig
    raw = assembled(script_sig=script_sig, witness=(b"\1",))
    assert judge_input(raw, 1, spend.spent) is FALSE


@pytest.mark.parametrize("form", ["p2wpkh", "p2wsh multisig", "p2tr"])
def test_a_native_witness_program_takes_no_script_sig(form: str) -> None:
    spend = signed(form)
    witness = parse_transaction(spend.raw).witnesses[1]
    assert judge_input(assembled(witness=witness), 1, spend.spent) is VALID
    assert judge_input(assembled(witness=witness, script_sig=b"\x51"), 1, spend.spent) is FALSE


@pytest.mark.parametrize("form", FORMS)
def test_one_item_too_many_is_false_in_a_witness_and_free_before(form: str) -> None:
    spend = signed(form)
    transaction = parse_transaction(spend.raw)
    if form in LEGACY:
        raw = assembled(script_sig=b"\x51" + transaction.inputs[1].script_sig)
        assert judge_input(raw, 1, spend.spent) is VALID
    elif form != "p2tr":  # where two items open a script
        script_sig = transaction.inputs[1].script_sig
        raw = assembled(script_sig=script_sig, witness=(b"", *transaction.witnesses[1]))
        assert judge_input(raw, 1, spend.spent) is FALSE


# Whole spends


def test_a_spend_is_false_where_one_of_ours_is_and_valid_where_all_are() -> None:
    ours, others = signed("p2wpkh", index=1), assembled()
    inputs = parse_transaction(others).inputs
    known = {tx_input.outpoint: coin for tx_input, coin in zip(inputs, ours.spent, strict=True) if coin}
    assert judge_spend(ours.raw, [1], known) is VALID
    assert judge_spend(ours.raw, [0, 1], known) is UNDECIDABLE
    assert judge_spend(ours.raw, [1, 0], known) is UNDECIDABLE
    assert judge_spend(others, [1], known) is FALSE
    assert judge_spend(others, [0, 1, 2], known) is FALSE
    assert judge_spend(ours.raw, [1], {}) is UNDECIDABLE
    assert judge_spend(ours.raw, [], known) is UNDECIDABLE


def test_an_input_that_is_not_there_is_the_callers_mistake() -> None:
    raw = assembled()
    for index in (3, -1):
        with pytest.raises(ValueError, match=r"^inputs"):
            judge_spend(raw, [index], {})


def test_what_is_too_much_work_is_undecidable() -> None:
    coin = TxOutput(70_000, p2pkh(KEYS[0].public_key.format()))
    for inputs, verdict in ((MOST_INPUTS, FALSE), (MOST_INPUTS + 1, UNDECIDABLE)):
        assert judge_input(assembled(inputs=inputs), 1, [coin] * inputs) is verdict
    heavy = assembled(script_sig=push(bytes(60_000)) + push(bytes(60_000)))
    assert judge_input(heavy, 1, [coin] * 3) is UNDECIDABLE


# Garbage


@given(st.binary(max_size=400), st.binary(max_size=80))
def test_any_bytes_are_a_transaction_or_malformed(raw: bytes, script: bytes) -> None:
    try:
        inputs = len(parse_transaction(raw).inputs)
    except Malformed:
        with pytest.raises(Malformed):
            judge_spend(raw, [0], {})
    else:
        assert judge_input(raw, 0, [TxOutput(1, script)] * inputs) in Verdict


SCRIPTS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([coin.script_pubkey for form in FORMS if (coin := signed(form).spent[1])]),
    st.binary(min_size=20, max_size=20).map(lambda program: b"\0\x14" + program),
    st.binary(min_size=32, max_size=32).map(lambda program: b"\x51\x20" + program),
    st.binary(max_size=60).map(p2sh),
    st.binary(max_size=60).map(p2wsh),
)
ITEMS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([item for form in FORMS for item in signed(form).signatures]),
    st.just(KEYS[0].public_key.format()),
    st.just(multisig(2, [key.public_key.format() for key in KEYS[:3]])),
    st.just(push(KEYS[0].public_key.format()) + b"\xac"),
)


@given(SCRIPTS, st.lists(ITEMS, max_size=5), st.one_of(st.binary(max_size=80), st.none()))
@example(b"\x51\x20" + sha256(b"").digest(), [b"\x50", b"\x50"], None)
def test_any_unlocking_of_any_script_has_a_verdict(
    script: bytes, items: list[bytes], script_sig: bytes | None
) -> None:
    if script_sig is None:
        script_sig = b"".join(map(push, items))
    assert unlocked(script, script_sig=script_sig, witness=tuple(items)) in Verdict
    assert unlocked(script, script_sig=script_sig) in Verdict
    assert unlocked(script, witness=tuple(items)) in Verdict
