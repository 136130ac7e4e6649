"""The stranger's verifier reads transactions, addresses, branches and targets as we do, without our code."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.hashing import sha256d
from watcher.bitcoin.headers import target_of
from watcher.bitcoin.merkle import fold
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Malformed, Txid
from watcher.report import formats, verify

if TYPE_CHECKING:
    from types import ModuleType

FORMS = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda h: b"\x76\xa9\x14" + h + b"\x88\xac"),
    st.binary(min_size=20, max_size=20).map(lambda h: b"\xa9\x14" + h + b"\x87"),
    st.builds(
        lambda version, program: bytes([version and 0x50 + version, len(program)]) + program,
        st.integers(0, 16),
        st.binary(min_size=2, max_size=40),
    ),
    st.binary(max_size=50),
)
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.mark.parametrize("program", [verify, formats])
def test_it_is_short_and_needs_nothing_but_the_standard_library(program: ModuleType) -> None:
    text = Path(str(program.__file__)).read_text()
    assert len(text.splitlines()) <= 100  # a stranger reads it
    tree = ast.parse(text)
    froms = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert froms | names <= sys.stdlib_module_names


@given(FORMS, st.sampled_from(Network))
def test_addresses(script: bytes, network: Network) -> None:
    assert formats.address(script, str(network)) == (encode_address(script, network) or "")


@pytest.mark.parametrize("network", Network)
def test_the_easiest_targets(network: Network) -> None:
    assert verify.EASIEST[str(network)] == target_of(PARAMS[network].pow_limit_bits)


@given(HASHES, st.integers(0, 31), st.lists(HASHES, max_size=5))
def test_branches(txid: str, place: int, siblings: list[str]) -> None:
    found = formats.fold(txid, place, siblings)
    try:
        expected = fold(Txid(txid), place, siblings)
    except Malformed:
        expected = ""
    assert found[::-1].hex() == expected


@given(
    st.lists(st.tuples(HASHES, st.integers(0, 2**32 - 1), st.binary(max_size=300)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 10**12), st.binary(max_size=300)), min_size=1, max_size=4),
    st.integers(-8, 8),
)
def test_transactions(spends: list[tuple[str, int, bytes]], pays: list[tuple[int, bytes]], cut: int) -> None:
    raw = (2).to_bytes(4, "little") + bytes([len(spends)])
    for txid, vout, script in spends:
        raw += bytes.fromhex(txid)[::-1] + vout.to_bytes(4, "little") + size(script) + script + bytes(4)
    raw += bytes([len(pays)])
    for sats, script in pays:
        raw += sats.to_bytes(8, "little") + size(script) + script
    raw += bytes(4)
    raw = raw[:cut] if cut < 0 else raw + bytes(cut)
    try:
        ours = parse_transaction(raw)
    except Malformed:
        # what we take for malformed and it does not is no transaction of a block anyway
        if cut:
            with pytest.raises(ValueError, match="its bytes"):
                formats.parse(raw)
        return
    assert verify.sha256d(raw) == sha256d(raw)
    theirs = formats.parse(raw)
    assert theirs[0] == [(i.outpoint.txid, i.outpoint.vout) for i in ours.inputs]
    assert theirs[1] == [(o.sats, o.script_pubkey) for o in ours.outputs]


def size(script: bytes) -> bytes:
    """The length before a script."""
    return bytes([len(script)]) if len(script) < 253 else b"\xfd" + len(script).to_bytes(2, "little")
