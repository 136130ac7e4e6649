"""Addresses against the vectors of BIP 173 and BIP 350, and against typing errors."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.addresses import decode_address, encode_address
from watcher.bitcoin.encoding import base58check_encode, bech32_decode, bech32_encode
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.types import Malformed

BIPS = json.loads((Path(__file__).parents[2] / "vectors/bip_vectors.json").read_bytes())
# BIP 350 changed the checksum of later witness versions: BIP 173's own examples of these became invalid
VALID = BIPS["bip350"]["valid"] + [case for case in BIPS["bip173"]["valid"] if case[1].startswith("00")]
OUTDATED = [case for case in BIPS["bip173"]["valid"] if not case[1].startswith("00")]
INVALID = BIPS["bip173"]["invalid"] + BIPS["bip350"]["invalid"] + OUTDATED

MAINNET, TESTNET3, REGTEST = Network.MAINNET, Network.TESTNET3, Network.REGTEST
PUBLISHED = "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo"
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
TAPROOT = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
WITNESS_KEY = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def network_of(text: str) -> Network:
    return TESTNET3 if text.lower().startswith("tb") else MAINNET


def scripts() -> st.SearchStrategy[bytes]:
    """Every script that has an address."""

    def sized(prefix: bytes, size: int, suffix: bytes = b"") -> st.SearchStrategy[bytes]:
        return st.binary(min_size=size, max_size=size).map(lambda digest: prefix + digest + suffix)

    later = st.builds(
        lambda version, program: bytes([0x50 + version, len(program)]) + program,
        st.integers(1, 16),
        st.binary(min_size=2, max_size=40),
    )
    return st.one_of(
        sized(b"\x76\xa9\x14", 20, b"\x88\xac"),
        sized(b"\xa9\x14", 20, b"\x87"),
        sized(b"\x00\x14", 20),
        sized(b"\x00\x20", 32),
        later,
    )


@pytest.mark.parametrize(("text", "script"), VALID)
def test_a_valid_address_of_the_bips_gives_its_script_and_back(text: str, script: str) -> None:
    network = network_of(text)
    assert decode_address(text, network).hex() == script
    assert encode_address(bytes.fromhex(script), network) == text.lower()


@pytest.mark.parametrize("network", list(Network))
@pytest.mark.parametrize(("text", "why"), INVALID)
def test_an_invalid_address_of_the_bips_is_refused_on_every_network(
    text: str, why: str, network: Network
) -> None:
    with pytest.raises(Malformed):
        decode_address(text, network)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty", "neither the prefix"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum does not match"),
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "a character"),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "none above 16"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "bech32m checksum on witness version 0"),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "bech32 checksum on witness version 1",
        ),
        ("bc1pw5dgrnzv", "program of 1 bytes"),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
            "program of 41 bytes",
        ),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "it has 20 or 32"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jJ0", "upper and lower case"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "padding"),
        ("bc1gmk9yu", "too short"),
        ("", "empty"),
        ("bc1" + "q" * 88, "longer than 90"),
        ("1" * 121, "longer than 120"),
        (GENESIS[:-1], "checksum does not match"),
        (GENESIS.replace("z", "0"), "neither the prefix"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\n", "a character"),
        (" " + GENESIS, "neither the prefix"),
        ("bc1\u0661\u0661", "a character"),
        ("bc1qqqqqbqqq", "a character"),
        ("bc1c1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "checksum"),
        (bech32_encode("bc1c", 0, bytes(20)), "prefix before the last 1"),
        ("LKDxGDJq5fF4FohAB8zJH24mDDNHDNtqsE", "version 48"),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "neither the prefix"),
        (base58check_encode(bytes([48]) + bytes(20)), "version 48 is of no bitcoin address"),
        (base58check_encode(bytes(20)), "a hash of 19 bytes"),
        (base58check_encode(bytes(22)), "a hash of 21 bytes"),
        ("1", "checksum does not match"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        decode_address(text, MAINNET)


@pytest.mark.parametrize(
    ("text", "own", "form"),
    [
        (GENESIS, {MAINNET}, "mainnet"),
        (PUBLISHED, {MAINNET}, "mainnet"),
        (WITNESS_KEY, {MAINNET}, "mainnet"),
        ("mpXwg4jMtRhuSpVq4xS3HFHmCmWp9NyGKt", set(Network) - {MAINNET}, "testnet"),
        ("2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", set(Network) - {MAINNET}, "testnet"),
        (
            "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
            {TESTNET3, Network.TESTNET4, Network.SIGNET},
            "testnet",
        ),
        ("bcrt1qn7d2x7272lznt5hhk9s07q3cqnrqljnwladrd3", {REGTEST}, "regtest"),
    ],
)
def test_an_address_of_another_network_is_refused_and_both_are_named(
    text: str, own: set[Network], form: str
) -> None:
    for network in Network:
        if network in own:
            assert encode_address(decode_address(text, network), network) == text
        else:
            with pytest.raises(Malformed, match=f"a {form} address, and the network is {network}"):
                decode_address(text, network)


@given(script=scripts(), network=st.sampled_from(Network))
def test_every_script_with_an_address_survives_the_round_trip(script: bytes, network: Network) -> None:
    text = encode_address(script, network)
    assert text is not None
    assert decode_address(text, network) == script
    if text.startswith(PARAMS[network].hrp):
        assert decode_address(text.upper(), network) == script


@given(script=st.binary(max_size=60), network=st.sampled_from(Network))
def test_what_has_an_address_is_exactly_what_an_address_gives(script: bytes, network: Network) -> None:
    text = encode_address(script, network)
    assert text is None or decode_address(text, network) == script


@pytest.mark.parametrize(
    "script",
    ["", "6a", "0003aabbcc", "0013" + "00" * 19, "5101aa", "51", "ac", "00" * 25, "5129" + "00" * 41],
)
def test_a_script_without_an_address_has_none(script: str) -> None:
    assert encode_address(bytes.fromhex(script), MAINNET) is None


@pytest.mark.parametrize("text", [GENESIS, PUBLISHED, WITNESS_KEY, TAPROOT])
def test_every_single_mistyped_character_is_refused(text: str) -> None:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for at, right in enumerate(text):
        for wrong in alphabet:
            if wrong != right:
                with pytest.raises(Malformed):
                    decode_address(text[:at] + wrong + text[at + 1 :], MAINNET)


@pytest.mark.parametrize("text", [GENESIS, PUBLISHED, WITNESS_KEY, TAPROOT])
def test_every_cut_and_every_swap_of_neighbours_is_refused(text: str) -> None:
    for at in range(len(text)):
        with pytest.raises(Malformed):
            decode_address(text[:at], MAINNET)
        swapped = text[:at] + text[at : at + 2][::-1] + text[at + 2 :]
        if swapped != text:
            with pytest.raises(Malformed):
                decode_address(swapped, MAINNET)


@given(text=st.text(max_size=100), network=st.sampled_from(Network))
def test_any_text_is_an_address_or_refused_and_nothing_else(text: str, network: Network) -> None:
    try:
        script = decode_address(text, network)
    except Malformed:
        return
    assert encode_address(script, network) in {text, text.lower()}


def test_a_private_key_pasted_as_an_address_is_not_repeated() -> None:
    private_key = base58check_encode(b"\x80" + bytes(range(32)) + b"\x01")
    extended = base58check_encode(bytes.fromhex("0488ade4") + bytes(range(74)))
    for secret in (private_key, extended):
        with pytest.raises(Malformed) as refused:
            decode_address(secret, MAINNET)
        message = str(refused.value)
        assert not any(secret[at : at + 8] in message for at in range(len(secret)))


def test_an_address_split_into_prefix_version_and_program_is_what_bip_350_says() -> None:
    assert bech32_decode(TAPROOT)[:2] == ("bc", 1)
    assert bech32_decode(TAPROOT)[2].hex() == BIPS["bip350"]["valid"][-1][1][4:]
