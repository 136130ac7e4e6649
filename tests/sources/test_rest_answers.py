"""Explorers' answers in any bytes: read, or refused as a source's failure, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from watcher.bitcoin.headers import header_hash
from watcher.sources import explorer_answers as answers
from watcher.sources.base import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = "ab" * 32
READERS: list[Callable[[bytes], Any]] = [
    answers.read_hash,
    answers.read_page,
    answers.read_counts,
    answers.read_block,
    lambda body: answers.read_blocks(body, 5),
    answers.read_in_best_chain,
    answers.read_places,
    answers.read_transaction,
    lambda body: answers.read_branch(body, 5),
]

numbers = st.one_of(
    st.integers(-3, 7), st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63, 10**400, -0.0, 1.5, 1e300])
)
texts = st.sampled_from(["", "5", HASH, HASH.upper(), HASH[:-1], HASH + "\n", "\ud800", "\x00", "é" * 32])
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
keys = st.one_of(
    st.sampled_from(["txid", "status", "vin", "confirmed", "block_height", "block_hash", "tx_count"]),
    st.sampled_from(
        ["chain_stats", "mempool_stats", "id", "height", "version", "timestamp", "bits", "nonce"]
    ),
    st.sampled_from(["bits", "nonce", "merkle_root", "previousblockhash", "in_best_chain", "merkle", "pos"]),
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner), max_leaves=30
)
frames = st.builds(
    lambda txid, vin, status: [{"txid": txid, "vin": vin, "status": status}],
    st.just(HASH),
    st.lists(st.fixed_dictionaries({"txid": leaves}), max_size=2),
    st.fixed_dictionaries({"confirmed": leaves, "block_height": leaves, "block_hash": leaves}),
)


@given(
    st.one_of(
        st.binary(max_size=200),
        trees.map(lambda tree: json.dumps(tree).encode()),
        frames.map(lambda tree: json.dumps(tree).encode()),
    )
)
@example(b"[" * 100_000)
@example(b"9" * 5_000)
@example(b"NaN")
@example(b"\xef\xbb\xbf[]")
@example(b'{"in_best_chain": tru')
def test_any_bytes_are_an_answer_or_a_failure(body: bytes) -> None:
    for read in READERS:
        try:
            told = read(body)
        except SourceError:
            continue
        json.dumps(str(told).encode("utf-8", "strict").decode())  # nothing in it breaks later


@given(frames)
def test_a_page_that_is_read_says_where_everything_is(page: list[dict[str, Any]]) -> None:
    try:
        (entry,) = answers.read_page(json.dumps(page).encode())
    except SourceError:
        return
    assert (entry.height is None) == (entry.block is None) == (not page[0]["status"]["confirmed"])
    assert entry.height is None or (type(entry.height) is int and 0 <= entry.height < 2**31)


def test_a_block_as_mempool_space_tells_it() -> None:
    genesis = {
        "id": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        "height": 0,
        "version": 1,
        "timestamp": 1231006505,
        "bits": 486604799,
        "nonce": 2083236893,
        "difficulty": 1,
        "merkle_root": "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
        "tx_count": 1,
        "size": 285,
        "weight": 816,
        "previousblockhash": None,
        "extras": {"reward": 5_000_000_000},
    }
    height, header = answers.read_block(json.dumps(genesis).encode())
    assert (height, header_hash(header)) == (0, genesis["id"])
    assert answers.read_blocks(json.dumps([genesis]).encode(), 0) == (header,)
