"""Base58check beyond addresses: extended keys and leading zeros."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.encoding import base58check_decode, base58check_encode, bech32_decode, bech32_encode
from watcher.bitcoin.types import Malformed


@given(payload=st.binary(min_size=1, max_size=80), zeros=st.integers(0, 2))
def test_a_payload_survives_the_round_trip_with_its_leading_zeros(payload: bytes, zeros: int) -> None:
    assert base58check_decode(base58check_encode(bytes(zeros) + payload)) == bytes(zeros) + payload


@given(payload=st.binary(min_size=1, max_size=40))
def test_one_more_leading_zero_is_another_text_and_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        base58check_decode("1" + base58check_encode(payload))


def test_an_extended_key_of_bip_32_decodes_to_78_bytes() -> None:
    key = (
        "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESF"
        "jqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
    )
    payload = base58check_decode(key)
    assert len(payload) == 78
    assert payload[:4].hex() == "0488b21e"
    assert base58check_encode(payload) == key


@given(
    hrp=st.sampled_from(["bc", "tb", "bcrt"]),
    version=st.integers(0, 16),
    program=st.binary(min_size=2, max_size=40),
)
def test_a_witness_program_survives_the_round_trip(hrp: str, version: int, program: bytes) -> None:
    assert bech32_decode(bech32_encode(hrp, version, program)) == (hrp, version, program)
