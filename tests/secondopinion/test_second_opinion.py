"""bitcoinlib's reading beside ours, from a real child process."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from watcher.bitcoin.addresses import decode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.wallets import parse_wallet
from watcher.secondopinion import Difference, NoOpinionError, second_opinion

pytestmark = pytest.mark.skipif(find_spec("bitcoinlib") is None, reason="bitcoinlib has no wheel here")

MAINNET = (
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
    "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
)
REGTEST = (
    "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
    "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2",
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
)
# BIP 84 and BIP 49, test vectors (CC0-1.0, public domain)
ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3Ef"
    "H1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)
XPUB = (
    "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPE"
    "bvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V"
)
UPUB = (
    "upub5EFU65HtV5TeiSHmZZm7FUffBGy8UKeqp7vw43jYbvZPpoVsgU93oac7"
    "Wk3u6moKegAEWtGNF8DehrnHtv21XXEMYRUocHqguyjknFHYfgY"
)


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()


async def test_both_read_standard_addresses_and_accounts_alike() -> None:
    addresses = [(address, decode_address(address, Network.MAINNET)) for address in MAINNET]
    wallets = [
        parse_wallet(text, Network.MAINNET)
        for text in (ZPUB, f"pkh([d34db33f/44h/0h/0h]{XPUB}/<0;1>/*)", f"sh(wpkh({XPUB}/<0;1>/*))")
    ]
    assert await second_opinion(addresses, wallets, Network.MAINNET, within=60) == ()


async def test_both_read_a_test_chain_alike() -> None:
    addresses = [(address, decode_address(address, Network.REGTEST)) for address in REGTEST]
    wallet = parse_wallet(UPUB, Network.REGTEST)
    assert await second_opinion(addresses, [wallet], Network.REGTEST, within=60) == ()


async def test_a_difference_shows_both_readings() -> None:
    ours = decode_address(MAINNET[0], Network.MAINNET)
    theirs = decode_address(MAINNET[1], Network.MAINNET)
    asked = [(MAINNET[0], theirs), (MAINNET[1], theirs), ("1NotAnAddress", ours)]
    differences = await second_opinion(asked, [], Network.MAINNET, within=60)
    assert differences == (
        Difference(MAINNET[0], theirs.hex(), ours.hex()),
        Difference("1NotAnAddress", ours.hex(), differences[1].theirs),
    )
    assert differences[1].theirs.startswith("refused: ")
    assert theirs.hex() in str(differences[0])
    assert ours.hex() in str(differences[0])


async def test_of_a_long_list_a_sample_is_asked() -> None:
    script = decode_address(MAINNET[0], Network.MAINNET)
    asked = [(f"1Wrong{number}", script) for number in range(2_500)]
    differences = await second_opinion(asked, [], Network.MAINNET, within=60)
    assert [d.subject for d in differences] == [f"1Wrong{number * 2_500 // 1_000}" for number in range(1_000)]


async def test_what_bitcoinlib_does_not_know_is_not_asked() -> None:
    taproot = parse_wallet(f"tr({XPUB}/<0;1>/*)", Network.MAINNET)
    later = [("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", bytes.fromhex("5210751e76e8199196d454941c45d1b3a323"))]
    # no process could answer in no time: there is nothing to ask
    assert await second_opinion(later, [taproot], Network.MAINNET, within=0) == ()


async def test_a_child_that_does_not_answer_is_killed_in_time() -> None:
    before = _children()
    asked = [(MAINNET[0], decode_address(MAINNET[0], Network.MAINNET))]
    with pytest.raises(NoOpinionError, match=r"no answer within 0\.05 seconds"):
        await second_opinion(asked, [], Network.MAINNET, within=0.05)
    assert _children() == before
