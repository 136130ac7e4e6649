"""What a real node signs and takes is valid to us, and what it refuses for its signature is false."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from coincurve import PrivateKey

from tests.real.setting import KINDS
from tests.unit.bitcoin.signing import judge_input
from watcher.bitcoin.encoding import base58check_encode
from watcher.bitcoin.signatures import Verdict, judge_spend
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Outpoint, Txid

if TYPE_CHECKING:
    from tests.stack.bitcoind import Node
    from tests.stack.chain import Chain
    from watcher.bitcoin.transactions import TxOutput

KEYS = [PrivateKey(sha256(b"of a multisig, %d" % n).digest()) for n in range(3)]
SIGHASH_TYPES = (
    "DEFAULT",
    "ALL",
    "NONE",
    "SINGLE",
    "ALL|ANYONECANPAY",
    "NONE|ANYONECANPAY",
    "SINGLE|ANYONECANPAY",
)
COIN = 100_000_000


async def funded(chain: Chain) -> tuple[list[dict[str, Any]], dict[Outpoint, TxOutput]]:
    """A confirmed coin of each kind, as the node names them and as we do; the last is a 2-of-3 in P2SH."""
    publics = [key.public_key.format().hex() for key in KEYS]
    multisig = await chain.node.rpc("createmultisig", 2, publics, "legacy")
    addresses = [*[await chain.new_address(kind) for kind in KINDS], multisig["address"]]
    named: list[dict[str, Any]] = []
    known: dict[Outpoint, TxOutput] = {}
    for address in addresses:
        txid = await chain.fund(address, COIN)
        paid = await chain.node.rpc("getrawtransaction", txid, True)
        (vout,) = [n for n, output in enumerate(paid["vout"]) if output["scriptPubKey"]["address"] == address]
        coin = parse_transaction(bytes.fromhex(paid["hex"])).outputs[vout]
        known[Outpoint(Txid(txid), vout)] = coin
        named.append({"txid": txid, "vout": vout, "scriptPubKey": coin.script_pubkey.hex(), "amount": "1"})
    named[-1]["redeemScript"] = multisig["redeemScript"]
    await chain.mine()
    return named, known


async def signed(chain: Chain, coins: list[dict[str, Any]], sighash_type: str) -> bytes:
    """All of them into as many outputs, signed by the node: its wallet's coins, then the multisig."""
    node = chain.node
    outputs = {await chain.stranger(): "0.999" for _ in coins}
    inputs = [{"txid": coin["txid"], "vout": coin["vout"]} for coin in coins]
    raw = await node.rpc("createrawtransaction", inputs, outputs, 0, True)
    raw = (await node.rpc("signrawtransactionwithwallet", raw, [], sighash_type, wallet="treasury"))["hex"]
    wifs = [base58check_encode(b"\xef" + key.secret + b"\1") for key in KEYS[1:]]
    done = await node.rpc("signrawtransactionwithkey", raw, wifs, coins[-1:], sighash_type)
    assert done["complete"], done
    return bytes.fromhex(done["hex"])


async def refusal(node: Node, raw: bytes) -> str | None:
    """Why the node would not take it, or None."""
    (answer,) = await node.rpc("testmempoolaccept", [raw.hex()], 0)
    return None if answer["allowed"] else str(answer["reject-reason"])


def one_byte_of_each_signature(raw: bytes) -> list[tuple[int, bytes]]:
    """Per signature: the input it stands in, and the transaction with one byte of it changed."""
    changed = []
    transaction = parse_transaction(raw)
    for index, tx_input in enumerate(transaction.inputs):
        for item in (tx_input.script_sig, *transaction.witnesses[index]):
            if len(item) < 64:  # a key, a program, nothing
                continue
            at = raw.index(item) + 40
            changed.append((index, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]))
    return changed


@pytest.mark.parametrize("sighash_type", SIGHASH_TYPES)
async def test_what_the_node_signs_is_valid_and_a_changed_byte_is_false(
    chain: Chain, sighash_type: str
) -> None:
    coins, known = await funded(chain)
    raw = await signed(chain, coins, sighash_type)
    assert await refusal(chain.node, raw) is None
    inputs = parse_transaction(raw).inputs
    spent = [known[tx_input.outpoint] for tx_input in inputs]
    assert [judge_input(raw, index, spent) for index in range(len(inputs))] == [Verdict.VALID] * len(coins)
    assert judge_spend(raw, range(len(inputs)), known) is Verdict.VALID

    forgeries = one_byte_of_each_signature(raw)
    assert {index for index, _ in forgeries} == set(range(len(inputs)))
    for index, forged in forgeries:
        assert await refusal(chain.node, forged) is not None
        assert judge_input(forged, index, spent) is Verdict.FALSE
        assert judge_spend(forged, range(len(inputs)), known) is Verdict.FALSE
