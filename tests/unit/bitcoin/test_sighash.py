"""What is signed, against the vectors of BIP 143, BIP 341 and Bitcoin Core, and against embit."""

from __future__ import annotations

from typing import Any

import pytest
from embit.script import Script
from embit.transaction import Transaction as EmbitTransaction
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.sighash import Digests
from watcher.bitcoin.transactions import TxOutput, parse_transaction

HASH_TYPES = (0, 1, 2, 3, 0x80, 0x81, 0x82, 0x83)


def test_bip_143(sighash_vectors: Any) -> None:
    checked = 0
    for vector in sighash_vectors["bip143"]["transactions"]:
        digests = Digests(parse_transaction(bytes.fromhex(vector["raw"])))
        for index, code, sats, hash_type, digest in vector["digests"]:
            assert digests.segwit(index, bytes.fromhex(code), sats, hash_type).hex() == digest
            checked += 1
    assert checked == 14


def test_bitcoin_cores_legacy_digests(sighash_vectors: Any) -> None:
    vectors = sighash_vectors["bitcoin_core_sighash"]["vectors"]
    for raw, code, index, hash_type, reverse in vectors:
        digests = Digests(parse_transaction(bytes.fromhex(raw)))
        digest = digests.legacy(index, bytes.fromhex(code), hash_type & 0xFFFFFFFF)
        assert digest[::-1].hex() == reverse
    assert len(vectors) == 48


def test_bip_341(bip_341: Any) -> None:
    spending = bip_341["keyPathSpending"][0]
    spent = [
        TxOutput(coin["amountSats"], bytes.fromhex(coin["scriptPubKey"]))
        for coin in spending["given"]["utxosSpent"]
    ]
    digests = Digests(parse_transaction(bytes.fromhex(spending["given"]["rawUnsignedTx"])), spent)
    for vector in spending["inputSpending"]:
        asked = vector["given"]
        digest = digests.taproot(asked["txinIndex"], asked["hashType"], None)
        assert digest is not None
        assert digest.hex() == vector["intermediary"]["sigHash"]
    assert len(spending["inputSpending"]) == 7


def test_legacy_single_without_an_output_signs_one(bip_341: Any) -> None:
    # a number, and so its lowest byte first: the reverse is what Bitcoin Core shows
    raw = bytes.fromhex(bip_341["keyPathSpending"][0]["given"]["rawUnsignedTx"])
    digests = Digests(parse_transaction(raw))
    assert digests.legacy(2, b"\x51", 3) == b"\1" + bytes(31)
    assert digests.legacy(1, b"\x51", 3) != digests.legacy(2, b"\x51", 3)


@given(st.integers(0, 8), st.sampled_from(HASH_TYPES), st.binary(max_size=300))
def test_embit_agrees_where_it_is_right(
    bip_341: Any,
    index: int,
    hash_type: int,
    code: bytes,
) -> None:
    raw = bytes.fromhex(bip_341["keyPathSpending"][0]["given"]["rawUnsignedTx"])
    digests, theirs = Digests(parse_transaction(raw)), EmbitTransaction.parse(raw)
    assert digests.segwit(index, code, 7, hash_type) == theirs.sighash_segwit(
        index, Script(code), 7, hash_type
    )
    if hash_type & 3 != 3:
        assert digests.legacy(index, code, hash_type) == theirs.sighash_legacy(index, Script(code), hash_type)


@pytest.mark.parametrize("hash_type", [4, 0x80, 0x84, 0xFF])
def test_taproot_knows_seven_hash_types(hash_type: int, bip_341: Any) -> None:
    raw = bytes.fromhex(bip_341["keyPathSpending"][0]["given"]["rawUnsignedTx"])
    spent = [TxOutput(1, b"\x51")] * 9
    digests = Digests(parse_transaction(raw), spent)
    assert digests.taproot(0, hash_type, None) is None
    assert digests.taproot(0, 1, None) is not None
