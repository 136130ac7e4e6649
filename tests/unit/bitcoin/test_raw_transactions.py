"""Raw transactions: real ones, generated ones, and every way to break one."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.hashing import display, sha256d
from watcher.bitcoin.transactions import TxInput, TxOutput, parse_transaction
from watcher.bitcoin.types import MAX_SATS, Malformed, Outpoint, Txid

SCRIPTS = st.one_of(st.binary(max_size=40), st.binary(min_size=250, max_size=260))
OUTPOINTS = st.builds(
    Outpoint, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0, 0xFFFFFFFE)
)
INPUTS = st.lists(
    st.builds(TxInput, OUTPOINTS, SCRIPTS, st.integers(0, 0xFFFFFFFF)),
    min_size=1,
    max_size=4,
    unique_by=lambda tx_input: tx_input.outpoint,
)
OUTPUTS = st.lists(st.builds(TxOutput, st.integers(0, MAX_SATS // 4), SCRIPTS), min_size=1, max_size=4)


def size(number: int, form: int | None = None) -> bytes:
    """A compact size, in its shortest form or in the one asked for."""
    form = form or (1 if number < 0xFD else 3 if number <= 0xFFFF else 5 if number <= 0xFFFFFFFF else 9)
    prefix = {1: b"", 3: b"\xfd", 5: b"\xfe", 9: b"\xff"}[form]
    return prefix + number.to_bytes({1: 1, 3: 2, 5: 4, 9: 8}[form], "little")


def sized(content: bytes) -> bytes:
    return size(len(content)) + content


def serialise(
    inputs: Sequence[TxInput],
    outputs: Sequence[TxOutput],
    witnesses: Sequence[tuple[bytes, ...]] = (),
    *,
    version: int = 2,
    lock_time: int = 0,
) -> bytes:
    """A transaction's bytes by BIP 144, written from the specification and not from the parser."""
    body = size(len(inputs)) + b"".join(
        bytes.fromhex(tx_input.outpoint.txid)[::-1]
        + struct.pack("<I", tx_input.outpoint.vout)
        + sized(tx_input.script_sig)
        + struct.pack("<I", tx_input.sequence)
        for tx_input in inputs
    )
    body += size(len(outputs)) + b"".join(
        struct.pack("<q", output.sats) + sized(output.script_pubkey) for output in outputs
    )
    marker = b"\x00\x01" if witnesses else b""
    tail = b"".join(size(len(stack)) + b"".join(map(sized, stack)) for stack in witnesses)
    return struct.pack("<I", version) + marker + body + tail + struct.pack("<I", lock_time)


def an_input(number: int = 1, vout: int = 0, script_sig: bytes = b"") -> TxInput:
    return TxInput(Outpoint(Txid(f"{number:064x}"), vout), script_sig, 0xFFFFFFFF)


def an_output(sats: int = 1, script_pubkey: bytes = b"\x51") -> TxOutput:
    return TxOutput(sats, script_pubkey)


PLAIN = serialise([an_input(), an_input(2)], [an_output(), an_output(2)])
WITNESSED = serialise([an_input(), an_input(2)], [an_output()], [(b"", b"\x01" * 71), ()])


def test_the_transactions_of_real_blocks_are_what_the_vectors_say(block: Any) -> None:
    for case in block["transactions"]:
        tx = parse_transaction(bytes.fromhex(case["hex"]))
        assert tx.txid == case["txid"]
        assert len(tx.stripped) == case["stripped_size"]
        assert bool(tx.witnesses) == case["segwit"]
        assert tx.is_coinbase == (case["pos"] == 0)
        assert [(i.outpoint.txid, i.outpoint.vout, i.script_sig.hex()) for i in tx.inputs] == [
            (vin["txid"], vin["vout"], vin["scriptsig"]) for vin in case["vin"]
        ]
        assert [(o.sats, o.script_pubkey.hex()) for o in tx.outputs] == [
            (vout["value"], vout["scriptpubkey"]) for vout in case["vout"]
        ]


def test_every_cut_of_a_real_transaction_and_a_byte_too_many_are_refused(block: Any) -> None:
    for case in block["transactions"]:
        raw = bytes.fromhex(case["hex"])
        for end in range(len(raw)):
            with pytest.raises(Malformed):
                parse_transaction(raw[:end])
        with pytest.raises(Malformed, match="1 bytes follow"):
            parse_transaction(raw + b"\0")


@given(
    inputs=INPUTS,
    outputs=OUTPUTS,
    version=st.integers(0, 0xFFFFFFFF),
    lock_time=st.integers(0, 0xFFFFFFFF),
    draw=st.data(),
)
def test_a_transaction_is_read_as_it_was_written_with_and_without_witness(
    inputs: Sequence[TxInput], outputs: Sequence[TxOutput], version: int, lock_time: int, draw: st.DataObject
) -> None:
    stack = st.lists(SCRIPTS, max_size=3).map(tuple)
    witnesses = draw.draw(st.one_of(st.just(()), st.tuples(*[stack] * len(inputs)).filter(any)))
    raw = serialise(inputs, outputs, witnesses, version=version, lock_time=lock_time)
    stripped = serialise(inputs, outputs, version=version, lock_time=lock_time)
    tx = parse_transaction(raw)
    assert (tx.version, tx.lock_time) == (version, lock_time)
    assert (tx.inputs, tx.outputs, tx.witnesses) == (tuple(inputs), tuple(outputs), witnesses)
    assert tx.stripped == stripped
    assert tx.txid == display(sha256d(stripped))
    again = parse_transaction(tx.stripped)
    assert (again.txid, again.stripped, again.witnesses) == (tx.txid, stripped, ())


@given(inputs=INPUTS, outputs=OUTPUTS, draw=st.data())
def test_any_cut_and_any_rest_is_refused(
    inputs: Sequence[TxInput], outputs: Sequence[TxOutput], draw: st.DataObject
) -> None:
    raw = serialise(inputs, outputs, draw.draw(st.sampled_from([(), [(b"\x01",)] * len(inputs)])))
    with pytest.raises(Malformed):
        parse_transaction(raw[: draw.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(Malformed):
        parse_transaction(raw + draw.draw(st.binary(min_size=1, max_size=50)))


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_transaction_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        tx = parse_transaction(raw)
    except Malformed:
        return
    assert serialise(tx.inputs, tx.outputs, tx.witnesses, version=tx.version, lock_time=tx.lock_time) == raw


@given(at=st.integers(0, len(WITNESSED) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_gives_another_transaction_or_a_refusal(at: int, byte: int) -> None:
    raw = WITNESSED[:at] + bytes([byte]) + WITNESSED[at + 1 :]
    try:
        tx = parse_transaction(raw)
    except Malformed:
        return
    assert serialise(tx.inputs, tx.outputs, tx.witnesses, version=tx.version, lock_time=tx.lock_time) == raw


@pytest.mark.parametrize("form", [3, 5, 9])
def test_a_number_not_in_its_shortest_form_is_refused(form: int) -> None:
    head, tail = PLAIN[:4], PLAIN[5:]
    with pytest.raises(Malformed, match="shortest form"):
        parse_transaction(head + size(2, form) + tail)


@pytest.mark.parametrize(("number", "form"), [(0xFC, 3), (0xFFFF, 5), (0xFFFFFFFF, 9)])
def test_the_largest_number_of_each_form_is_refused_in_the_next(number: int, form: int) -> None:
    with pytest.raises(Malformed, match="shortest form"):
        parse_transaction(PLAIN[:4] + size(number, form) + PLAIN[5:])


@pytest.mark.parametrize("count", [3, 0xFC, 0xFD, 0xFFFF, 0x10000, 0xFFFFFFFF, 0x100000000, 2**64 - 1])
def test_a_forged_count_of_anything_is_refused_before_anything_is_built(count: int) -> None:
    inputs, outputs = PLAIN[5:87], PLAIN[88:-4]
    forged = [
        PLAIN[:4] + size(count) + PLAIN[5:],
        PLAIN[:4] + b"\x02" + inputs + size(count) + outputs + bytes(4),
        PLAIN[:41] + size(count) + PLAIN[42:],  # the first script_sig's length
        PLAIN[:96] + size(count) + PLAIN[97:],  # the first script_pubkey's length
        WITNESSED[:-4] + size(count) + bytes(4),
        WITNESSED[:100] + size(count) + WITNESSED[101:],  # the first stack's length
        WITNESSED[:101] + size(count) + WITNESSED[102:],  # the first item's length
    ]
    for raw in forged:
        with pytest.raises(Malformed):
            parse_transaction(raw)


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (PLAIN[:4], PLAIN[5:]),
        (PLAIN[:87], PLAIN[88:]),
        (WITNESSED[:100], WITNESSED[101:]),
    ],
    ids=["inputs", "outputs", "stack"],
)
def test_a_count_is_held_against_the_bytes_that_remain(head: bytes, tail: bytes) -> None:
    with pytest.raises(Malformed, match=rf"a count of {2**64 - 1}, and {len(tail)} bytes remain"):
        parse_transaction(head + size(2**64 - 1) + tail)


def test_the_places_forged_above_are_the_lengths_they_are_said_to_be() -> None:
    assert (PLAIN[4], PLAIN[41], PLAIN[87], PLAIN[96]) == (2, 0, 2, 1)
    assert (WITNESSED[100], WITNESSED[101], WITNESSED[102]) == (2, 0, 71)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (serialise([], [an_output()] * 2), "without inputs"),
        (serialise([an_input()], []), "without outputs"),
        (WITNESSED[:6] + b"\0" + WITNESSED[7:], "without inputs"),
        (serialise([an_input()], [an_output(-1)]), "an amount"),
        (serialise([an_input()], [an_output(MAX_SATS + 1)]), "an amount"),
        (serialise([an_input()], [an_output(-(2**63))]), "below zero"),
        (serialise([an_input()], [an_output(MAX_SATS), an_output(1)]), "sum"),
        (serialise([an_input()], [an_output()], [()]), "there is none"),
        (serialise([an_input(), an_input(2)], [an_output()], [(), ()]), "there is none"),
        (serialise([an_input(), an_input(2), an_input()], [an_output()]), "one coin twice"),
        (serialise([an_input(), an_input(0, 0xFFFFFFFF)], [an_output()]), "no coin"),
        (PLAIN[:4] + b"\x00\x02" + PLAIN[4:], "without inputs"),
        (b"", "cut short"),
        (bytes(4_000_001), "no block has room"),
    ],
)
def test_what_consensus_forbids_is_refused_in_a_sentence(raw: bytes, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        parse_transaction(raw)


def test_the_largest_amounts_are_legal() -> None:
    tx = parse_transaction(serialise([an_input()], [an_output(MAX_SATS), an_output(0)]))
    assert sum(output.sats for output in tx.outputs) == MAX_SATS


def test_a_transaction_fills_a_block_and_no_more() -> None:
    def of_size(stripped: int) -> bytes:
        empty = len(serialise([an_input()], [an_output(1, bytes(70_000))]))
        return serialise([an_input()], [an_output(1, bytes(70_000 + stripped - empty))])

    assert len(parse_transaction(of_size(1_000_000)).stripped) == 1_000_000
    with pytest.raises(Malformed, match="heavier"):
        parse_transaction(of_size(1_000_001))


def test_more_inputs_than_a_block_has_room_for_are_refused_before_any_is_built() -> None:
    many = 4_000_000 // (4 * 41) + 1
    raw = b"\x01\0\0\0" + b"\xfd" + many.to_bytes(2, "little") + bytes(41 * many)
    with pytest.raises(Malformed, match="heavier"):  # and not for the coin that all of them spend
        parse_transaction(raw)


def test_a_coinbase_is_told_by_the_coin_it_does_not_spend() -> None:
    coinbase = serialise([an_input(0, 0xFFFFFFFF, b"\x01\x02")], [an_output()])
    assert parse_transaction(coinbase).is_coinbase
    assert not parse_transaction(serialise([an_input(0, 0)], [an_output()])).is_coinbase
    assert not parse_transaction(PLAIN).is_coinbase
