"""Ids are for ever: what they are hashed from, to the byte, by plain means."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import BlockHash, Txid
from watcher.core.identity import (
    condition_incident,
    log_event_id,
    transaction_event_id,
    transaction_incident,
)
from watcher.core.known import Entry, Flow, State

TXID, OTHER, BLOCK = Txid("ab" * 32), Txid("cd" * 32), BlockHash("00" * 28 + "12345678")
ENTRY = Entry(
    "el-salvador", TXID, State.CONFIRMED, Flow.OUTFLOW, -5_000, 5_000, 120, False, "inc_1", correction="evt_1"
)


def digest(*parts: object) -> str:
    canonical = json.dumps(parts, separators=(",", ":"), ensure_ascii=True)
    return sha256(canonical.encode("ascii")).hexdigest()[:32]


@pytest.mark.parametrize(
    ("block", "by", "rival"),
    [(None, None, None), (BLOCK, None, None), (None, OTHER, None), (BLOCK, None, BLOCK)],
)
def test_a_transactions_event(block: BlockHash | None, by: Txid | None, rival: BlockHash | None) -> None:
    told = transaction_event_id(Network.MAINNET, "tx.confirmed", ENTRY, block=block, by=by, rival_block=rival)
    more = () if rival is None else (rival,)
    parts = (1, "mainnet", "el-salvador", TXID, "tx.confirmed", "outflow", -5_000, block, by, "evt_1", *more)
    assert told == f"evt_{digest(*parts)}"


def test_an_event_of_the_log_and_the_stories() -> None:
    assert log_event_id("0f" * 16, 2**40) == f"evt_{digest(1, '0f' * 16, 2**40)}"
    assert transaction_incident(Network.REGTEST, "a-1", TXID) == f"inc_{digest(1, 'regtest', 'a-1', TXID)}"
    subject = "Low_2.b-/el-salvador"
    told = condition_incident(Network.SIGNET, "balance", subject)
    assert told == f"inc_{digest(1, 'signet', 'balance', subject)}"


def test_an_id_that_was_given_once_stays() -> None:
    assert (
        transaction_incident(Network.MAINNET, "el-salvador", TXID) == "inc_df1ecb7c53aeb5664c763e7ced1b41a8"
    )
