"""The child process: questions as JSON on standard input, bitcoinlib's answers on standard output.

It imports nothing of ours, and is run by its path in isolation. Importing bitcoinlib writes files below
$BCL_DATA_DIR, which whoever starts this sets.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bitcoinlib.encoding import EncodingError
from bitcoinlib.keys import Address, BKeyError, HDKey
from bitcoinlib.networks import NetworkError
from bitcoinlib.scripts import ScriptError
from bitcoinlib.transactions import Output, TransactionError

_REFUSALS = (BKeyError, EncodingError, NetworkError, ScriptError, TransactionError, ValueError)


def answer(question: dict[str, Any]) -> dict[str, list[str]]:
    """The script of each address and of each child of each key, in hex, or why it has none."""
    return {
        "addresses": [_of_address(address, network) for address, network in question["addresses"]],
        "children": [
            _of_child(HDKey(key, network=network, witness_type=kind), branch, index)
            for key, network, kind, children in question["keys"]
            for branch, index in children
        ],
    }


def _of_address(address: str, network: str) -> str:
    try:
        script: bytes = Output(
            0, address=Address.parse(address, network=network), network=network
        ).lock_script
    except _REFUSALS as error:
        return f"refused: {type(error).__name__}"
    return script.hex()


def _of_child(key: HDKey, branch: int, index: int) -> str:
    try:
        child = key.child_public(branch).child_public(index)
        return _of_address(child.address(), child.network.name)
    except _REFUSALS as error:
        return f"refused: {type(error).__name__}"


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
