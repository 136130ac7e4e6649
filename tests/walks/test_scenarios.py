"""Lives written by hand, where a walk's sums alone would not show a wrong telling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.walks.by_hand import (
    OURS,
    STRANGER,
    amounts,
    delivered,
    listed,
    obeying,
    owned,
    send,
    strange_coin,
    told,
    watched,
)
from tests.walks.eye import DROPPED_AFTER_MS, FINALITY, Eye
from tests.walks.walk import check_balances
from tests.walks.world import OP_RETURN, SUBSIDY, World
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Outpoint
from watcher.ledger.earlier import balance_at
from watcher.ledger.verify import Verification, verify

if TYPE_CHECKING:
    from watcher.bitcoin.transactions import Transaction


def test_twenty_replacements_and_a_confirmation_are_one_incident() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    tx = send(world, [coin], (sats - 100, OURS[0]))
    eye.look()
    for fee in range(2, 22):
        world.mempool.clear()
        tx = send(world, [coin], (sats - 100 * fee, OURS[0]))
        eye.look()
    world.mine([tx])
    eye.look()
    kinds = [kind for kind, _ in told(eye)]
    assert kinds == ["tx.seen", *["tx.replaced", "tx.seen"] * 20, "tx.confirmed"]
    assert len({event.incident for event in eye.events}) == 1
    assert eye.events[-2].data["supersedes"] is None
    assert eye.events[-1].correction  # whoever was told of the first is told how it ended


def test_the_child_of_a_replaced_parent_falls_with_it() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (sats - 200, OURS[0]))
    child = send(world, [Outpoint(parent.txid, 0)], (sats - 400, OURS[1]))
    eye.look()
    world.mempool.clear()
    winner = send(world, [coin], (sats - 900, STRANGER))
    eye.look()
    assert told(eye)[2:] == [("tx.replaced", parent.txid), ("tx.replaced", child.txid)]
    fallen = eye.events[2:]
    assert {event.data["by"] for event in fallen} == {winner.txid}
    assert len({event.incident for event in fallen}) == 1


def test_an_inflow_double_spent_by_a_block_that_pays_a_stranger_is_conflicted() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    inflow = send(world, [coin], (sats - 200, OURS[0]))
    eye.look()
    world.mempool.clear()
    rival = send(world, [coin], (sats - 500, STRANGER))
    world.mine([rival])
    eye.look()
    assert told(eye)[1:] == [("tx.conflicted", inflow.txid)]
    assert eye.events[-1].data["by"] == rival.txid


def test_a_final_inflow_that_is_reversed_is_critical() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    inflow = send(world, [coin], (sats - 200, OURS[0]))
    world.mine([inflow])
    eye.look()
    for _ in range(5):
        world.mine([])
    eye.look()
    del world.blocks[-6:]
    world.mempool.clear()
    rival = send(world, [coin], (sats - 500, STRANGER))
    world.mine([rival])
    for _ in range(6):
        world.mine([])
    eye.look()
    story = [event for event in eye.events if event.txid == inflow.txid]
    kinds = [event.type for event in story]
    assert kinds == ["tx.confirmed", "tx.final", "tx.unconfirmed", "tx.conflicted"]
    assert [event.critical for event in story] == [False, False, True, False]


def test_what_was_said_to_be_unconfirmed_before_its_block_came_takes_no_block_away() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    tx = send(world, [coin], (sats - 200, OURS[0]))
    world.mine([tx])
    eye.look()
    eye.hear(tx)
    assert verify(eye.connection) == Verification(proven=1, headers=len(world.blocks), events=2)
    assert balance_at(eye.connection, "alpha", world.tip.height) == sats - 200
    for _ in range(FINALITY - 1):
        world.mine([])
        eye.look(set())  # its history is as it was: nobody reads it again
    assert told(eye) == [("tx.confirmed", tx.txid), ("tx.final", tx.txid)]


def test_what_was_said_late_is_undone_by_a_new_branch_like_all_else() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    tx = send(world, [coin], (sats - 200, OURS[0]))
    world.mine([tx])
    eye.look()
    eye.hear(tx)
    del world.blocks[-1]
    rival = send(world, [coin], (sats - 500, STRANGER))
    world.mine([rival])
    world.mine([])
    eye.look()
    story = [event for event in eye.events if event.txid == tx.txid]
    assert [event.type for event in story] == ["tx.confirmed", "tx.unconfirmed", "tx.conflicted"]
    check_balances(eye)
    assert verify(eye.connection).failures == []


def test_one_transaction_over_five_scripts_is_told_once_with_its_net() -> None:
    world, eye = watched(*OURS[:5])
    coin, sats = strange_coin(world)
    part = (sats - 500) // 5
    send(world, [coin], *[(part, ours) for ours in OURS[:5]])
    eye.look()
    (event,) = eye.events
    assert (event.data["amount_sats"], event.data["flow"]) == (5 * part, "inflow")
    assert event.data["fee_sats"] is None  # its parent was not at hand
    movements = event.data["movements"]
    assert isinstance(movements, list)
    assert len(movements) == 5


def test_a_join_with_a_strangers_coin_is_mixed_and_counts_our_net() -> None:
    world, eye = watched()
    ((ours, sats),) = owned(world, eye, OURS[0])
    theirs, more = strange_coin(world)
    send(world, [ours, theirs], (sats - 1_000, OURS[1]), (more, STRANGER))
    eye.look()
    (event,) = eye.events
    assert (event.data["flow"], event.data["mixed"]) == ("outflow", True)
    assert (event.data["amount_sats"], event.data["moved_sats"]) == (-1_000, 1_000)
    assert event.data["fee_sats"] is None  # who paid it cannot be told
    assert amounts(event.data["movements"]) == [-sats, sats - 1_000]


def test_a_join_that_leaves_us_richer_is_a_mixed_inflow() -> None:
    world, eye = watched()
    ((ours, sats),) = owned(world, eye, OURS[0])
    theirs, more = strange_coin(world)
    send(world, [ours, theirs], (sats + 5_000, OURS[1]), (more - 6_000, STRANGER))
    eye.look()
    (event,) = eye.events
    assert (event.data["flow"], event.data["mixed"]) == ("inflow", True)
    assert (event.data["amount_sats"], event.data["destinations"]) == (5_000, [])


def test_a_note_beside_a_spend_to_ourselves_leaves_it_internal() -> None:
    world, eye = watched()
    ((ours, sats),) = owned(world, eye, OURS[0])
    send(world, [ours], (sats - 300, OURS[1]), (0, OP_RETURN))
    eye.look()
    (event,) = eye.events
    assert (event.data["flow"], event.data["mixed"]) == ("internal", False)
    assert (event.data["amount_sats"], event.data["moved_sats"]) == (-300, sats - 300)
    assert (event.data["fee_sats"], event.data["destinations"]) == (300, [])


def test_nothing_paid_by_a_stranger_is_an_inflow_of_nothing() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    send(world, [coin], (sats - 500, STRANGER), (0, OURS[0]))
    eye.look()
    (event,) = eye.events
    assert (event.data["flow"], event.data["amount_sats"], event.data["moved_sats"]) == ("inflow", 0, 0)
    assert event.data["destinations"] == []


def test_our_coin_and_a_strangers_that_leave_us_as_rich_are_an_outflow_of_nothing() -> None:
    world, eye = watched()
    ((ours, sats),) = owned(world, eye, OURS[0])
    theirs, more = strange_coin(world)
    send(world, [ours, theirs], (sats, OURS[1]), (more - 1_000, STRANGER))
    eye.look()
    (event,) = eye.events
    assert (event.data["flow"], event.data["amount_sats"], event.data["mixed"]) == ("outflow", 0, True)


def test_one_transaction_over_two_treasuries_is_told_to_each_with_the_other_named() -> None:
    world = World(5, {"alpha": OURS[:2], "beta": [OURS[2]]})
    eye = Eye(world, "one")
    eye.look()
    ((ours, sats),) = owned(world, eye, OURS[0])
    eye.connection.execute("UPDATE watches SET label = 'vault' WHERE treasury = 'beta'")
    tx = send(world, [ours], (30_000, OURS[2]), (sats - 30_200, OURS[1]))
    eye.look()
    out, into = eye.events
    assert [(e.treasury, e.txid) for e in eye.events] == [("alpha", tx.txid), ("beta", tx.txid)]
    assert out.incident != into.incident
    assert (out.data["flow"], out.data["amount_sats"], out.data["fee_sats"]) == ("outflow", -30_200, 200)
    assert out.data["counterparties"] == [{"treasury": "beta", "amount_sats": 30_000}]
    assert [paid["label"] for paid in listed(out.data["destinations"])] == ["vault"]
    assert (into.data["flow"], into.data["amount_sats"]) == ("inflow", 30_000)
    assert into.data["counterparties"] == [{"treasury": "alpha", "amount_sats": -30_200}]


def test_a_script_that_pays_itself_change_moves_once_by_its_net() -> None:
    world, eye = watched()
    ((ours, sats),) = owned(world, eye, OURS[0])
    send(world, [ours], (30_000, STRANGER), (sats - 30_200, OURS[0]))
    eye.look()
    (event,) = eye.events
    assert (event.data["flow"], event.data["amount_sats"]) == ("outflow", -30_200)
    assert amounts(event.data["movements"]) == [-30_200]
    (paid,) = listed(event.data["destinations"])
    stranger = encode_address(STRANGER, Network.REGTEST)
    assert (paid["address"], paid["amount_sats"]) == (stranger, 30_000)


def test_a_coinbase_that_was_orphaned_is_dropped_at_once_and_told_anew_when_it_is_back() -> None:
    world, eye = watched()
    while world.blocks[-1].txs[0].outputs[0].script_pubkey not in world.ours:
        world.mine([])
    eye.look()
    before, branch = world.blocks[:-1], world.blocks[-1]
    world.blocks = list(before)
    for _ in range(2):
        world.mine([])
    eye.look()
    world.blocks = [*before, branch]
    for _ in range(2):
        world.mine([])
    eye.look()
    story = [event for event in eye.events if event.txid == branch.txs[0].txid]
    assert [e.type for e in story] == ["tx.confirmed", "tx.unconfirmed", "tx.dropped", "tx.confirmed"]
    assert story[2].data["reason"] == "orphaned"
    assert [listed([e.data["delta_sats"]])[0]["confirmed"] for e in story] == [SUBSIDY, -SUBSIDY, 0, SUBSIDY]
    assert len({event.id for event in story}) == 4
    assert len({event.incident for event in story}) == 1
    assert story[3].data["supersedes"] == story[2].id


def test_two_coinbases_are_two_stories() -> None:
    world, eye = watched()
    ours: list[Transaction] = []
    while len(ours) < 2:
        world.mine([])
        coinbase = world.blocks[-1].txs[0]
        ours += [coinbase] if coinbase.outputs[0].script_pubkey in world.ours else []
    eye.look()
    assert [txid for kind, txid in told(eye) if kind == "tx.confirmed"] == [tx.txid for tx in ours]
    assert len({event.incident for event in eye.events}) == 2


def test_a_rung_of_three_speaks_once_between_sight_and_finality() -> None:
    world, eye = watched()
    obeying(eye, "seen", 3, "final")
    coin, sats = strange_coin(world)
    tx = send(world, [coin], (sats - 200, OURS[0]))
    eye.look()
    world.mine([tx])
    said = []
    for _ in range(7):
        eye.look()
        eye.look()
        said.append(len(delivered(eye)))
        world.mine([])
    seen, confirmed, final = [event for event in eye.events if event.txid == tx.txid]
    assert [event.type for event in (seen, confirmed, final)] == ["tx.seen", "tx.confirmed", "tx.final"]
    own = [(webhook, data) for webhook, data in delivered(eye) if data["txid"] == tx.txid]
    assert [webhook for webhook, _ in own] == [seen.id, f"{confirmed.id}.3", final.id]
    assert [data["step"] for _, data in own] == ["seen", "3", "final"]
    assert [data["confirmations"] for _, data in own] == [0, 1, 6]  # the event's, whatever rung it tells of


def test_dust_is_recorded_and_never_alerts() -> None:
    world, eye = watched()
    obeying(eye, "seen", "confirmed", "final", dust_sats=1_000)
    coin, sats = strange_coin(world)
    dust = send(world, [coin], (999, OURS[0]), (sats - 2_000, STRANGER))
    enough = send(world, [Outpoint(dust.txid, 1)], (1_000, OURS[1]), (sats - 4_000, STRANGER))
    eye.look()
    world.mine([dust, enough])
    for _ in range(6):
        eye.look()
        world.mine([])
    eye.look()
    of_dust = [event for event in eye.events if event.txid == dust.txid]
    assert [event.type for event in of_dust] == ["tx.seen", "tx.confirmed", "tx.final"]
    told_of = [data["txid"] for _, data in delivered(eye) if data["txid"] in {dust.txid, enough.txid}]
    assert told_of == [enough.txid] * 3


def test_what_is_gone_from_every_source_is_dropped_after_its_time_and_not_before() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    tx = send(world, [coin], (sats - 200, OURS[0]))
    eye.look()
    world.mempool.clear()
    eye.look()
    eye.now_ms += DROPPED_AFTER_MS - 2_000
    eye.look()
    assert told(eye) == [("tx.seen", tx.txid)]
    eye.look()
    assert told(eye)[1:] == [("tx.dropped", tx.txid)]
    seen, dropped = eye.events
    assert (dropped.data["reason"], dropped.data["supersedes"]) == ("absent", seen.id)
    world.mempool[tx.txid] = tx
    eye.look()
    again = eye.events[-1]
    assert (again.type, again.incident) == ("tx.seen", seen.incident)
    assert again.id != seen.id


def test_whoever_heard_of_the_first_of_three_replacements_hears_one_story_to_its_end() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    obeying(eye, "seen", min_sats=sats - 200)
    paid = [sats - 200, 40_000, 30_000, 20_000]
    txs = []
    for ours in paid:
        world.mempool.clear()
        txs.append(send(world, [coin], (ours, OURS[0]), *([(1_000, STRANGER)] if ours < sats - 200 else [])))
        eye.look()
    world.mine([txs[-1]])
    eye.look()
    own = [data for _, data in delivered(eye) if data["txid"] in {tx.txid for tx in txs}]
    assert [data["step"] for data in own] == ["seen", *["replaced", "seen"] * 3, "confirmed"]
    assert [data["by"] for data in own if data["step"] == "replaced"] == [tx.txid for tx in txs[1:]]
    assert len({data["incident"] for data in own}) == 1
    assert len({webhook for webhook, _ in delivered(eye)}) == len(delivered(eye))


def test_what_was_said_before_a_rivals_block_came_is_not_told() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    late = send(world, [coin], (sats - 200, OURS[0]))
    world.mempool.clear()
    rival = send(world, [coin], (sats - 900, OURS[1]))
    world.mine([rival])
    eye.look()
    eye.hear(late)
    assert told(eye) == [("tx.confirmed", rival.txid)]
