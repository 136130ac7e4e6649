"""Wallets as published: an extended key alone, or a descriptor; and how far ahead they are watched."""

from __future__ import annotations

import random

import pytest
from embit.descriptor.checksum import add_checksum

from watcher.bitcoin.addresses import decode_address, encode_address
from watcher.bitcoin.encoding import base58check_decode, base58check_encode
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Malformed
from watcher.bitcoin.wallets import parse_wallet, window

# BIP 84, BIP 49 and BIP 86, test vectors (CC0-1.0, public domain, BSD-2-Clause); BIP 44 has none of its own
ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3Ef"
    "H1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)
UPUB = (
    "upub5EFU65HtV5TeiSHmZZm7FUffBGy8UKeqp7vw43jYbvZPpoVsgU93oac7"
    "Wk3u6moKegAEWtGNF8DehrnHtv21XXEMYRUocHqguyjknFHYfgY"
)
XPUB = (
    "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcL"
    "teoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ"
)
VERSIONS = {
    "xpub": "0488b21e",
    "ypub": "049d7cb2",
    "zpub": "04b24746",
    "Ypub": "0295b43f",
    "Zpub": "02aa7ed3",
    "tpub": "043587cf",
    "upub": "044a5262",
    "vpub": "045f1cf6",
    "Upub": "024289ef",
    "Vpub": "02575483",
    "xprv": "0488ade4",
    "yprv": "049d7878",
    "zprv": "04b2430c",
    "Yprv": "0295b005",
    "Zprv": "02aa7a99",
    "tprv": "04358394",
    "uprv": "044a4e28",
    "vprv": "045f18bc",
    "Uprv": "024285b5",
    "Vprv": "02575048",
    "Ltub": "019da462",
}
MAINNET, TESTNET4 = Network.MAINNET, Network.TESTNET4
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _with_version(prefix: str, *, key: str = ZPUB) -> str:
    text = base58check_encode(bytes.fromhex(VERSIONS[prefix]) + base58check_decode(key)[4:])
    assert text.startswith(prefix)
    return text


def _refusal(text: str, network: Network = MAINNET) -> str:
    with pytest.raises(Malformed) as refused:
        parse_wallet(text, network)
    return str(refused.value)


def _address(text: str, branch: int, index: int, network: Network = MAINNET) -> str | None:
    return encode_address(parse_wallet(text, network).script(branch, index), network)


def test_the_bips_accounts_give_their_addresses() -> None:
    assert _address(ZPUB, 0, 0) == "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
    assert _address(ZPUB, 0, 1) == "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"
    assert _address(ZPUB, 1, 0) == "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"
    assert _address(UPUB, 0, 0, TESTNET4) == "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2"
    taproot = f"tr({XPUB}/<0;1>/*)"
    assert _address(taproot, 0, 0) == "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
    assert _address(taproot, 0, 1) == "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh"
    assert _address(taproot, 1, 0) == "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7"


@pytest.mark.parametrize(
    ("prefix", "network", "descriptor"),
    [
        ("xpub", MAINNET, "pkh({}/<0;1>/*)"),
        ("ypub", MAINNET, "sh(wpkh({}/<0;1>/*))"),
        ("zpub", MAINNET, "wpkh({}/<0;1>/*)"),
        ("tpub", TESTNET4, "pkh({}/<0;1>/*)"),
        ("upub", TESTNET4, "sh(wpkh({}/<0;1>/*))"),
        ("vpub", TESTNET4, "wpkh({}/<0;1>/*)"),
    ],
)
def test_a_prefix_implies_its_bip_on_its_network(prefix: str, network: Network, descriptor: str) -> None:
    wallet = parse_wallet(_with_version(prefix), network)
    neutral = _with_version("xpub" if network is MAINNET else "tpub")
    assert wallet == parse_wallet(descriptor.format(neutral), network)
    assert (wallet.branches, wallet.is_ranged) == (2, True)
    other = TESTNET4 if network is MAINNET else MAINNET
    assert f"and the network is {other}" in _refusal(_with_version(prefix), other)


@pytest.mark.parametrize(
    "prefix", ["xprv", "yprv", "zprv", "Yprv", "Zprv", "tprv", "uprv", "vprv", "Uprv", "Vprv"]
)
def test_a_private_extended_key_is_refused_and_not_repeated(prefix: str) -> None:
    key = _with_version(prefix)
    for text in (key, f"{key[:-1]}x", f"wpkh({key}/0/*)", f"wsh(or_d(pk({key}),older(1)))"):
        refusal = _refusal(text)
        assert "a private key" in refusal
        assert key[4:12] not in refusal


@pytest.mark.parametrize("version", [0x80, 0xEF])
def test_a_single_private_key_is_refused_and_not_repeated(version: int) -> None:
    for key in (
        base58check_encode(bytes([version]) + bytes(range(32))),
        base58check_encode(bytes([version]) + bytes(range(32)) + b"\1"),
    ):
        for text in (key, f"wpkh({key})", f"wpkh({key[:20]}x{key[21:]})"):
            refusal = _refusal(text)
            assert "a private key" in refusal
            assert key[:8] not in refusal


def test_what_is_no_single_wallets_key_is_refused() -> None:
    for prefix in ("Ypub", "Zpub"):
        assert "one key of several" in _refusal(_with_version(prefix))
    assert "not an extended public key" in _refusal(_with_version("Ltub"))
    assert "not an extended public key" in _refusal("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    assert _refusal("")
    assert "expression was expected" in _refusal(f" {ZPUB}")
    assert "expression was expected" in _refusal(f"{XPUB}/0/*")


def test_bip_32s_invalid_keys_are_refused() -> None:
    payload = base58check_decode(XPUB)

    def changed(at: int, value: bytes) -> str:
        return base58check_encode(payload[:at] + value + payload[at + len(value) :])

    assert "depth 0 with a parent" in _refusal(changed(4, b"\0"))
    assert "depth 0 with a parent" in _refusal(changed(4, b"\0" * 5))
    assert parse_wallet(changed(4, b"\0" * 9), MAINNET).notes[-1].startswith("a key of depth 0")
    for form in (0, 1, 4, 6, 255):
        assert "not a compressed one" in _refusal(changed(45, bytes([form])))
    assert "curve" in _refusal(changed(46, bytes(31) + b"\5"))
    deepest = changed(4, bytes([255]))
    assert "deeper" in _refusal(f"pkh({deepest}/0)")
    for size in (77, 79):
        assert "not an extended" in _refusal(base58check_encode((payload + b"\0")[:size]))


def test_what_a_wallet_may_not_show_is_noted() -> None:
    assert parse_wallet(ZPUB, MAINNET).notes == ()
    (note,) = parse_wallet(_with_version("xpub"), MAINNET).notes
    assert "BIP 44" in note
    text = f"wpkh([d34db33f/84'/0'/0']{_with_version('xpub')}/0/*)"
    missing, one_branch = parse_wallet(text, MAINNET).notes
    assert missing.endswith(add_checksum(text)[-9:])
    assert "one branch only" in one_branch
    assert parse_wallet(add_checksum(text), MAINNET).notes == (one_branch,)


def test_a_description_holds_no_key() -> None:
    neutral = _with_version("xpub")
    described = {
        ZPUB: "wpkh, 2 branches",
        f"wsh(sortedmulti(2,{neutral}/<0;1>/*,{XPUB}/<0;1>/*))": "wsh(2 of 2 sortedmulti), 2 branches",
        f"tr({XPUB}/0/*)": "tr, 1 branch",
        f"tr({XPUB}/0/*,pk({neutral}/*))": "tr with scripts, 1 branch",
        f"sh(wpkh({XPUB}/0/7))": "sh(wpkh)",
        "addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)": "addr",
        "raw(51)": "raw",
    }
    for text, words in described.items():
        assert parse_wallet(text, MAINNET).describe() == words


def test_addr_and_raw_are_one_script_each() -> None:
    wallet = parse_wallet("addr(32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo)", MAINNET)
    assert wallet.script(0, 0) == decode_address("32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo", MAINNET)
    assert (wallet.branches, wallet.is_ranged, wallet.window((), 20)) == (1, False, (1,))
    assert parse_wallet("raw(6a)", MAINNET).script(0, 0) == b"\x6a"


def test_the_window_stays_a_gap_ahead_of_the_last_use() -> None:
    wallet = parse_wallet(ZPUB, MAINNET)
    assert wallet.window([], 20) == (20, 20)
    assert wallet.window([(0, 0)], 20) == (21, 20)
    assert wallet.window([(0, 19), (0, 3), (1, 7)], 20) == (40, 28)
    assert window([(0, 2**31 - 1)], branches=1, gap_limit=20) == (2**31,)


def _typos(text: str, alphabet: str, count: int) -> list[str]:
    """`count` different texts, each with one other character than `text`."""
    chance = random.Random(text)
    found: dict[str, None] = {}
    while len(found) < count:
        at = chance.randrange(len(text))
        typed = chance.choice(alphabet)
        if typed != text[at]:
            found[f"{text[:at]}{typed}{text[at + 1 :]}"] = None
    return list(found)


@pytest.mark.parametrize("prefix", ["xpub", "ypub", "zpub", "tpub", "upub", "vpub"])
def test_no_typo_in_an_extended_key_passes(prefix: str) -> None:
    network = MAINNET if prefix in {"xpub", "ypub", "zpub"} else TESTNET4
    for typo in _typos(_with_version(prefix), BASE58, 1_000):
        _refusal(typo, network)


@pytest.mark.parametrize(
    "address",
    [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
    ],
)
def test_no_typo_in_an_address_passes(address: str) -> None:
    alphabet = BASE58 if address[0] in "13" else "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    for typo in _typos(address, alphabet, 1_000):
        with pytest.raises(Malformed):
            decode_address(typo, MAINNET)


@pytest.mark.parametrize(
    "text",
    [
        f"wpkh([d34db33f/84h/0h/0h]{XPUB}/<0;1>/*)",
        f"wsh(sortedmulti(2,{XPUB}/0/*,[d34db33f/48h]{XPUB}/1/*,{XPUB}/2/*))",
        "tr(cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115)",
        "wpkh(0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c)",
        "addr(32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo)",
        "raw(a9140b55e104bb614b309d85efac36703194ff2d830287)",
    ],
)
def test_no_typo_in_a_descriptor_with_its_checksum_passes(text: str) -> None:
    alphabet = "0123456789()[],'/*abcdefghIJKLMNOPqrstuvwxyz{};<>#@ "
    for typo in _typos(add_checksum(text), alphabet, 1_000):
        _refusal(typo)
