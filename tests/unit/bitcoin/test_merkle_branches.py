"""Merkle branches of real blocks, and the two known ways to lie with one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from watcher.bitcoin.hashing import display, sha256d
from watcher.bitcoin.merkle import MAX_DEPTH, Tree, check_branch, fold
from watcher.bitcoin.transactions import Transaction, parse_transaction
from watcher.bitcoin.types import Malformed, Txid

# a transaction of one input and one output, up to the output's script
ONE_OUTPUT = bytes.fromhex("0100000001" + "11" * 32 + "0000000000ffffffff01" + "00" * 8)
LEAF = parse_transaction(ONE_OUTPUT + b"\x03" + b"\x51" * 3 + bytes(4))


def row_above(row: list[str]) -> list[str]:
    """The next row of a tree: pairs hashed, the last node repeated where the row is odd."""
    padded = row if len(row) % 2 == 0 else [*row, row[-1]]
    return [
        display(sha256d(bytes.fromhex(left)[::-1] + bytes.fromhex(right)[::-1]))
        for left, right in zip(padded[::2], padded[1::2], strict=True)
    ]


def tree(leaves: list[str]) -> tuple[str, list[list[str]]]:
    """The root, and each leaf's branch: the whole tree built, as a block's miner does."""
    branches: list[list[str]] = [[] for _ in leaves]
    row = leaves
    while len(row) > 1:
        level = len(branches[0])
        for leaf, branch in enumerate(branches):
            sibling = (leaf >> level) ^ 1
            branch.append(row[sibling] if sibling < len(row) else row[-1])
        row = row_above(row)
    return row[0], branches


def a_leaf(txid: str) -> Transaction:
    """Some transaction, as if it had this id."""
    return replace(LEAF, txid=Txid(txid))


@contextmanager
def calls_of(function: Callable[..., Any]) -> Iterator[list[None]]:
    """As many items as it is called meanwhile."""
    found: list[None] = []

    def look(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is function.__code__:
            found.append(None)

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


def root_or_refusal(txid: str, index: int, siblings: list[str]) -> str:
    try:
        return fold(txid, index, siblings)
    except Malformed as refusal:
        return str(refusal)


def a_case(block: Any, at: int = 1) -> tuple[Transaction, int, list[str], str]:
    case = block["transactions"][at]
    branch = case["electrum_get_merkle"]
    return (
        parse_transaction(bytes.fromhex(case["hex"])),
        branch["pos"],
        branch["merkle"],
        block["block"]["merkle_root"],
    )


def test_every_branch_of_a_real_block_leads_to_its_root(block: Any) -> None:
    for at in range(len(block["transactions"])):
        check_branch(*a_case(block, at))


def test_the_whole_tree_over_a_real_blocks_txids_has_its_root_and_branches(whole_block: Any) -> None:
    root, branches = tree(whole_block["txids"])
    assert root == whole_block["block"]["merkle_root"]
    for case in whole_block["transactions"]:
        assert branches[case["pos"]] == case["electrum_get_merkle"]["merkle"]


def test_a_branch_with_one_item_changed_missing_or_added_is_refused(block: Any) -> None:
    tx, index, siblings, root = a_case(block)
    for at in range(len(siblings)):
        with pytest.raises(Malformed):
            check_branch(tx, index, [*siblings[:at], root, *siblings[at + 1 :]], root)
        with pytest.raises(Malformed):
            check_branch(tx, index, siblings[:at] + siblings[at + 1 :], root)
    with pytest.raises(Malformed, match="does not lead"):
        check_branch(tx, index, [*siblings, root], root)


def test_another_index_is_refused_also_when_only_bits_above_the_tree_differ(block: Any) -> None:
    tx, index, siblings, root = a_case(block)
    for wrong in {*range(64), -1, index - (1 << 64), True} - {index}:
        with pytest.raises(Malformed):
            check_branch(tx, wrong, siblings, root)
    with pytest.raises(Malformed, match="an index"):
        check_branch(tx, index + (1 << len(siblings)), siblings, root)


def test_true_is_no_index(block: Any) -> None:
    tx, index, siblings, root = a_case(block)
    assert index == 1
    with pytest.raises(Malformed, match="an index"):
        check_branch(tx, True, siblings, root)


@pytest.mark.parametrize(
    "item",
    [
        "",
        "00",
        "00" * 31,
        "00" * 33,
        "zz" * 32,
        "00 " * 32,
        "00 " * 21 + "0",
        " " * 64,
        "\u0660" * 64,
        "0" * 63,
    ],
)
def test_an_item_that_is_not_32_bytes_is_refused(block: Any, item: str) -> None:
    tx, index, siblings, root = a_case(block)
    with pytest.raises(Malformed, match="an item"):
        check_branch(tx, index, [item, *siblings[1:]], root)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 31, 1000])
def test_a_branch_deeper_than_any_block_is_refused(block: Any, depth: int) -> None:
    tx, *_ = a_case(block)
    with pytest.raises(Malformed, match="items"):
        check_branch(tx, 0, ["00" * 32] * depth, "00" * 32)


def test_a_block_of_one_transaction_has_an_empty_branch(block: Any) -> None:
    tx, *_ = a_case(block)
    check_branch(tx, 0, [], tx.txid)
    with pytest.raises(Malformed, match="an index"):
        check_branch(tx, 1, [], tx.txid)


@given(
    leaves=st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=1, max_size=12, unique=True)
)
def test_every_leaf_of_every_tree_folds_to_its_root_at_its_index_only(leaves: list[str]) -> None:
    root, branches = tree(leaves)
    for index, (leaf, branch) in enumerate(zip(leaves, branches, strict=True)):
        assert fold(leaf, index, branch) == root
        for wrong in set(range(1 << len(branch))) - {index}:
            assert root_or_refusal(leaf, wrong, branch) != root


@given(
    leaves=st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=1, max_size=9, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_a_tree_that_was_partly_shown_takes_what_folds_to_its_root_and_nothing_else(
    leaves: list[str], order: Any
) -> None:
    root, branches = tree(leaves)
    told = [(leaf, index, branch) for index, (leaf, branch) in enumerate(zip(leaves, branches, strict=True))]
    lies = [
        (leaf, at, [*branch[:level], other, *branch[level + 1 :]])
        for leaf, index, branch in told
        for level in range(len(branch))
        for other in {root, *leaves, *branch}
        for at in {index, index ^ 1, 0}
    ]
    lies += [(leaf, at, branch[:-1]) for leaf, at, branch in told] + [
        (leaf, at, [*branch, root]) for leaf, at, branch in told
    ]
    everything = told + lies
    order.shuffle(everything)
    partly = Tree(root)
    for leaf, index, branch in everything:
        if root_or_refusal(leaf, index, branch) == root:
            partly.check(a_leaf(leaf), index, branch)
        else:
            with pytest.raises(Malformed):
                partly.check(a_leaf(leaf), index, branch)


def test_neighbours_in_a_block_are_shown_with_two_hashes_each() -> None:
    leaves = [f"{number:064x}" for number in range(1, 513)]
    root, branches = tree(leaves)
    one = Tree(root)
    with calls_of(sha256d) as hashed:
        for index, (leaf, branch) in enumerate(zip(leaves, branches, strict=True)):
            one.check(a_leaf(leaf), index, branch)
    assert len(hashed) <= 2 * len(leaves)


def test_a_repeated_node_to_the_right_is_legal_and_to_the_left_is_a_lie() -> None:
    leaves = [f"{number:064x}" for number in (1, 2, 3)]
    root, branches = tree(leaves)
    assert branches[2][0] == leaves[2]
    assert fold(leaves[2], 2, branches[2]) == root
    # CVE-2012-2459: the same hashes from the repeated place, which no transaction has
    with pytest.raises(Malformed, match="second place"):
        fold(leaves[2], 3, branches[2])


def test_a_transaction_of_64_bytes_is_no_leaf() -> None:
    raw = ONE_OUTPUT + b"\x04" + b"\x51" * 4 + bytes(4)
    tx = parse_transaction(raw)
    assert len(tx.stripped) == 64
    # CVE-2017-12842: its bytes are also the two halves of an inner node
    left, right = raw[:32][::-1].hex(), raw[32:][::-1].hex()
    assert fold(left, 0, [right]) == tx.txid
    with pytest.raises(Malformed, match="64 bytes"):
        check_branch(tx, 0, [], tx.txid)


def test_a_transaction_of_63_or_65_bytes_is_a_leaf() -> None:
    for script in (b"\x51" * 3, b"\x51" * 5):
        raw = ONE_OUTPUT + bytes([len(script)]) + script + bytes(4)
        tx = parse_transaction(raw)
        check_branch(tx, 0, [], tx.txid)


def test_electrums_checkpoint_proof_of_a_header_folds_to_the_documented_root(electrum_examples: Any) -> None:
    proof = electrum_examples["header_5_cp8"]
    leaf = display(sha256d(bytes.fromhex(proof["header"])))
    assert fold(leaf, 5, proof["branch"]) == proof["root"]
