"""What a descriptor may be, and how it is refused: strictly, and without repeating what may be a secret."""

from __future__ import annotations

import pytest

from watcher.bitcoin.descriptors import parse_descriptor
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Malformed

KEY = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
UNCOMPRESSED = (
    "04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
    "5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235"
)
XPUB = (
    "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJb"
    "ZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL"
)
ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3Ef"
    "H1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)


def _refusal(text: str, network: Network = Network.MAINNET) -> str:
    with pytest.raises(Malformed) as refused:
        parse_descriptor(text, network)
    return str(refused.value)


def test_bip_380s_checksums() -> None:
    assert parse_descriptor("raw(deadbeef)#89f8spxm", Network.MAINNET).had_checksum
    without = parse_descriptor("raw(deadbeef)", Network.MAINNET)
    assert (without.had_checksum, without.checksum, without.text) == (
        False,
        "89f8spxm",
        "raw(deadbeef)#89f8spxm",
    )
    for wrong in (
        "raw(deadbeef)#",
        "raw(deadbeef)#89f8spxmx",
        "raw(deadbeef)#89f8spx",
        "raw(deedbeef)#89f8spxm",
        "raw(deedbeef)##9f8spxm",
    ):
        assert "checksum" in _refusal(wrong)
    assert "ASCII" in _refusal("raw(Ü)#00000000")


@pytest.mark.parametrize(
    "text",
    [
        f"wpkh({UNCOMPRESSED})",
        f"sh(wpkh({UNCOMPRESSED}))",
        f"wsh(multi(1,{UNCOMPRESSED}))",
        f"tr({UNCOMPRESSED})",
        f"wpkh({KEY[2:]})",
        f"wsh({KEY})",
        f"wsh(wpkh({KEY}))",
        f"sh(sh(pkh({KEY})))",
        "sh(addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa))",
        f"combo({KEY})",
        f"wpkh(06{KEY[2:]})",
        f"wpkh({KEY}/0)",
        f"wpkh({KEY}/*)",
        f"wpkh({ZPUB}/0/*)",
        f"wpkh({XPUB}/0/*/1)",
        f"wpkh({XPUB}/0/*h)",
        f"wpkh({XPUB}/{{0,1}}/*)",
        f"wpkh({XPUB}/2147483648)",
        f"wpkh({XPUB}/<0;0>/*)",
        f"wpkh({XPUB}/<0>/*)",
        f"wpkh({XPUB}/<0;1h>/*)",
        f"wpkh({XPUB}/0H/*)",
        f"wpkh({XPUB}//0)",
        f"wpkh({XPUB}/0/)",
        f"wpkh([d34db33f]{XPUB}/0)x",
        f"wpkh([d34db33f{XPUB}/0)",
        f"wpkh([d34db33f/*]{XPUB}/0)",
        f"wpkh( {XPUB}/0)",
        f"wpkh({XPUB}/0",
        f"wpkh({XPUB}/0))",
        f"WPKH({XPUB}/0)",
        f"multi(0,{KEY})",
        f"multi(2,{KEY})",
        f"multi(01,{KEY})",
        "multi(1)",
        f"wsh(multi(1,{','.join([KEY] * 21)}))",
        f"sh(multi(1,{','.join([KEY] * 16)}))",
        f"multi(1,{','.join([KEY] * 4)})",
        f"sh(multi(1,{','.join([UNCOMPRESSED] * 8)}))",
        f"wsh(multi_a(1,{KEY}))",
        f"tr({KEY},multi(1,{KEY}))",
        f"tr({KEY},{{pk({KEY})}})",
        f"tr({KEY},{{pk({KEY}),}})",
        f"tr({KEY},{'{' * 10_000}",
        "",
        "wpkh()",
        "wpkh",
        "raw()",
        "raw(abc)",
        f"raw({'00' * 10_001})",
        "addr()",
        "wpkh(" + "1" * 30_000,
    ],
)
def test_what_no_wallet_may_read_is_refused(text: str) -> None:
    refusal = _refusal(text)
    assert len(refusal) < 200
    assert KEY not in refusal
    assert XPUB not in refusal


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    assert "curve" in _refusal(f"wpkh(02{'00' * 31}05)")
    assert "curve" in _refusal(f"tr({'ff' * 32})")


def test_a_key_of_another_network_is_refused() -> None:
    tpub = (
        "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUG"
        "LnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B"
    )
    assert parse_descriptor(f"wpkh({tpub}/0/*)", Network.SIGNET).is_ranged
    assert "testnet" in _refusal(f"wpkh({tpub}/0/*)")
    assert "mainnet" in _refusal(f"wpkh({XPUB}/0/*)", Network.REGTEST)
    assert "mainnet" in _refusal("addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)", Network.REGTEST)


def test_both_signs_for_hardened_steps_are_one_descriptor() -> None:
    one = parse_descriptor(f"wpkh([d34db33f/84h/0'/0h]{XPUB}/<0;1>/*)", Network.MAINNET)
    other = parse_descriptor(f"wpkh([d34db33f/84'/0h/0']{XPUB}/<0;1>/*)", Network.MAINNET)
    assert one.text == other.text
    assert one.script(1, 7) == other.script(1, 7)


def test_an_index_that_is_none_is_refused() -> None:
    parsed = parse_descriptor(f"wpkh({XPUB}/<0;1>/*)", Network.MAINNET)
    for branch, index in ((2, 0), (-1, 0), (0, -1), (0, 2**31)):
        with pytest.raises(ValueError, match="no script"):
            parsed.script(branch, index)
