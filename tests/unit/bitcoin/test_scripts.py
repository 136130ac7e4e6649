"""Script hashes and kinds against real outputs and the protocol's example."""

from typing import Any

import pytest

from watcher.bitcoin.addresses import decode_address, encode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import is_unspendable, script_kind, scripthash

KINDS = {
    "p2pkh": "p2pkh",
    "p2sh": "p2sh",
    "v0_p2wpkh": "p2wpkh",
    "v0_p2wsh": "p2wsh",
    "v1_p2tr": "p2tr",
    "op_return": "op_return",
}
KEY = "02" + "11" * 32
LONG_KEY = "04" + "22" * 64


def test_the_outputs_of_real_blocks_have_their_kind_address_and_scripthash(block: Any) -> None:
    for tx in block["transactions"]:
        for output in tx["vout"]:
            script = bytes.fromhex(output["scriptpubkey"])
            assert scripthash(script) == output["scripthash"]
            if output["type"] != "other":  # the vectors name no address of a later witness version
                assert encode_address(script, Network.MAINNET) == output["address"]
            assert script_kind(script) == KINDS.get(output["type"], script_kind(script))
            assert is_unspendable(script) == (output["type"] == "op_return")


def test_the_genesis_address_has_the_scripthash_of_the_protocol_documentation(electrum_examples: Any) -> None:
    example = electrum_examples["genesis_scripthash"]
    script = decode_address(example["address"], Network.MAINNET)
    assert script.hex() == example["script"]
    assert scripthash(script) == example["scripthash"]


def test_the_regtest_example_has_its_scripthash(electrum_examples: Any) -> None:
    example = electrum_examples["status_example"]
    assert scripthash(decode_address(example["address"], Network.REGTEST)) == example["scripthash"]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("", "other"),
        ("6a", "op_return"),
        ("6a0568656c6c6f", "op_return"),
        ("51024e73", "p2a"),
        ("51024e74", "witness"),
        ("5120" + "00" * 32, "p2tr"),
        ("5220" + "00" * 32, "witness"),
        ("0010" + "00" * 16, "witness"),
        ("0014" + "00" * 19, "other"),
        ("6002abcd", "witness"),
        ("6102abcd", "other"),
        ("4f02abcd", "other"),
        ("21" + KEY + "ac", "p2pk"),
        ("41" + LONG_KEY + "ac", "p2pk"),
        ("21" + "05" + "11" * 32 + "ac", "other"),
        ("21" + KEY + "ad", "other"),
        ("5121" + KEY + "51ae", "multisig"),
        ("5121" + KEY + "41" + LONG_KEY + "52ae", "multisig"),
        ("5221" + KEY + "51ae", "other"),
        ("5121" + KEY + "52ae", "other"),
        ("5121" + KEY + "21" + KEY[:-2] + "52ae", "other"),
        ("76a914" + "00" * 20 + "88ad", "other"),
        ("a914" + "00" * 20 + "88", "other"),
    ],
)
def test_a_script_is_of_the_kind_its_bytes_say(script: str, kind: str) -> None:
    assert script_kind(bytes.fromhex(script)) == kind


def test_only_op_return_and_oversized_scripts_are_unspendable() -> None:
    assert is_unspendable(b"\x6a")
    assert is_unspendable(b"\x51" * 10_001)
    assert not is_unspendable(b"\x51" * 10_000)
    assert not is_unspendable(b"")
    assert not is_unspendable(b"\x00\x6a")
