"""`verify` lists what a hand has changed in a good ledger, also where every sum still agrees."""

from __future__ import annotations

import json

import pytest

from tests.walks.by_hand import OURS, STRANGER, owned, send, strange_coin, watched
from tests.walks.eye import Eye
from tests.walks.world import World
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Outpoint
from watcher.ledger.verify import verify

BTC = 100_000_000


@pytest.fixture
def eye() -> Eye:
    """A confirmed inflow, the last thing in its log, and after it an unconfirmed one."""
    world, eye = watched()
    owned(world, eye, OURS[0])
    coin, sats = strange_coin(world)
    send(world, [coin], (sats - 200, OURS[0]))
    eye.look()
    assert verify(eye.connection).failures == []
    return eye


def raise_sums(eye: Eye, kind: str, column: str) -> str:
    """A bitcoin more in the treasury's sum and in the last event of that type and all after; its txid."""
    eye.connection.execute(f"UPDATE treasuries SET {column} = {column} + ?", (BTC,))
    events = eye.connection.execute(
        "SELECT * FROM events WHERE treasury = 'alpha' ORDER BY sequence"
    ).fetchall()
    last = max(event["sequence"] for event in events if event["type"] == kind)
    for event in events:
        if event["sequence"] >= last:
            body = json.loads(event["body"])
            body["balance_sats"][column] += BTC
            if event["sequence"] == last:
                body["delta_sats"][column] += BTC
                txid = event["txid"]
            eye.connection.execute(
                "UPDATE events SET body = ? WHERE sequence = ?", (json.dumps(body), event["sequence"])
            )
    return str(txid)


@pytest.mark.parametrize(
    ("kind", "column"), [("tx.confirmed", "confirmed"), ("tx.seen", "pending"), ("tx.confirmed", "pending")]
)
def test_a_bitcoin_that_no_amount_has_is_found(eye: Eye, kind: str, column: str) -> None:
    txid = raise_sums(eye, kind, column)
    eye.connection.execute(
        f"UPDATE entries SET {column} = {column} + ? WHERE tx = (SELECT id FROM transactions WHERE txid = ?)",
        (BTC, txid),
    )
    assert verify(eye.connection).failures == [
        f"treasury alpha: its balance does not hold transaction {txid} as it stands"
    ]


def test_a_confirmed_entry_of_a_transaction_that_is_in_no_block_is_found(eye: Eye) -> None:
    (row,) = eye.connection.execute(
        """UPDATE transactions SET block_height = NULL, block_hash = NULL, block_index = NULL, branch = NULL
           WHERE block_height IS NOT NULL RETURNING txid"""
    ).fetchall()
    assert verify(eye.connection).failures == [
        f"treasury alpha: its balance does not hold transaction {row['txid']} as it stands"
    ]


def test_what_a_transaction_does_to_a_script_that_its_bytes_do_not_name_is_found(eye: Eye) -> None:
    txid = raise_sums(eye, "tx.confirmed", "confirmed")
    eye.connection.execute(
        """UPDATE entries SET amount = amount + ?, confirmed = confirmed + ?
           WHERE tx = (SELECT id FROM transactions WHERE txid = ?)""",
        (BTC, BTC, txid),
    )
    (script,) = eye.connection.execute(
        """INSERT INTO touches SELECT s.id, t.id, ?, 0 FROM scripts s, transactions t
           WHERE s.script_pubkey = ? AND t.txid = ? RETURNING script""",
        (BTC, OURS[1], txid),
    ).fetchone()
    assert verify(eye.connection).failures == [
        f"transaction {txid}: its amount on script {script} is not what its bytes say"
    ]


def test_of_transactions_in_one_block_the_one_whose_branch_was_changed_is_found() -> None:
    world, eye = watched()
    owned(world, eye, OURS[0], OURS[1], OURS[0])
    rows = eye.connection.execute(
        "SELECT txid, branch FROM transactions WHERE block_height = ?", (world.tip.height,)
    ).fetchall()
    assert len(rows) == 3
    change = "UPDATE transactions SET branch = ? WHERE txid = ?"
    for txid, branch in rows:
        for at in range(0, len(branch), 32):  # the upper items are those of its neighbours too
            eye.connection.execute(change, (branch[:at] + bytes(32) + branch[at + 32 :], txid))
            (failure,) = verify(eye.connection).failures
            assert failure.startswith(f"transaction {txid}: ")
        eye.connection.execute(change, (branch, txid))
    assert verify(eye.connection).failures == []


def test_while_added_addresses_are_read_the_rest_of_the_ledger_is_good() -> None:
    world, eye = watched(OURS[0])
    ((coin, sats),) = owned(world, eye, OURS[0])
    world.mine([send(world, [coin], (1_000, STRANGER), (sats - 1_500, OURS[1]))])
    eye.look()
    eye.list({"alpha": OURS[:3]})
    assert verify(eye.connection).failures == []
    eye.look({scripthash(OURS[1])})
    read = [row["read_ms"] is not None for row in eye.connection.execute("SELECT * FROM scripts ORDER BY id")]
    assert read == [True, True, False]
    assert verify(eye.connection).failures == []
    eye.look()
    assert eye.events[-1].type == "watch.baselined"
    assert verify(eye.connection).failures == []


def test_an_added_address_whose_only_coin_has_fallen_is_good() -> None:
    world = World(5, {"alpha": [OURS[0], OURS[1]], "beta": [OURS[2]]})
    eye = Eye(world, "one")
    eye.look()
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (sats // 2, OURS[0]), (sats // 2 - 500, OURS[3]))
    child = send(world, [Outpoint(parent.txid, 1)], (sats // 2 - 1_000, OURS[2]))
    world.mine([parent, child])
    eye.look()
    del world.blocks[-1]  # and nobody has the two any more
    world.mine([])
    world.mine([])
    eye.look()
    eye.list({"alpha": [OURS[1]], "beta": [OURS[2]]})  # the parent is in no book any more
    eye.list({"alpha": [OURS[1]], "beta": [OURS[2], OURS[3]]})
    eye.look()
    assert verify(eye.connection).failures == []
