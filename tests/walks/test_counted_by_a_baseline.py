"""What a baseline counted and nobody was told of: once it is spoken of, its story goes on like any other."""

from __future__ import annotations

from dataclasses import replace

from tests.ledger.test_announced import rule
from tests.walks.by_hand import OURS, STRANGER, send, strange_coin, told
from tests.walks.eye import FINALITY, Eye
from tests.walks.walk import check_balances
from tests.walks.world import World
from watcher.bitcoin.types import Outpoint
from watcher.core.known import Flow
from watcher.core.rules import Policy
from watcher.core.rules_types import Topic
from watcher.ledger.verify import verify


def test_what_was_taken_back_as_an_outflow_does_not_come_back_as_another_unsaid() -> None:
    world = World(5, {"alpha": OURS[:1]})
    coin, sats = strange_coin(world)
    world.mine([parent := send(world, [coin], (sats - 200, OURS[0]))])
    world.mine([spend := send(world, [Outpoint(parent.txid, 0)], (sats - 400, OURS[1]))])
    eye = Eye(world, "one")
    eye.look()
    del world.blocks[-1:]
    world.mempool = {spend.txid: spend}
    for _ in range(2):
        world.mine([])
    eye.look()
    world.treasuries["alpha"].append(OURS[1])  # who was paid is ours too
    eye.list(world.treasuries)
    eye.look()
    world.mine([spend])
    eye.look()
    story = [event for event in eye.events if event.txid == spend.txid]
    assert [(event.type, event.flow) for event in story] == [
        ("tx.unconfirmed", Flow.OUTFLOW),
        ("tx.reclassified", Flow.INTERNAL),
        ("tx.confirmed", Flow.INTERNAL),
    ]
    assert story[1].data["supersedes"] == story[0].id
    assert verify(eye.connection).failures == []


def test_what_a_coin_has_put_right_and_a_change_of_list_makes_another_flow_is_told() -> None:
    world = World(5, {"alpha": OURS[:2]})
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (60_000, OURS[1]), (sats - 60_200, STRANGER))
    spend = send(world, [Outpoint(parent.txid, 0)], (5_000, OURS[0]), (54_000, OURS[2]))
    world.mine([parent, spend])
    eye = Eye(world, "one", hidden={parent.txid})
    eye.look()
    eye.hidden.clear()
    eye.look()
    world.treasuries["alpha"].append(OURS[2])
    eye.list(world.treasuries)
    eye.look()
    story = [event for event in eye.events if event.txid == spend.txid]
    assert [(event.type, event.flow) for event in story] == [
        ("tx.reclassified", Flow.OUTFLOW),
        ("tx.reclassified", Flow.INTERNAL),
    ]


def test_whoever_heard_that_a_child_is_in_no_block_hears_that_it_fell_with_its_parent() -> None:
    world = World(5, {"alpha": OURS[:1]})
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (sats - 200, OURS[0]))
    child = send(world, [Outpoint(parent.txid, 0)], (sats - 400, STRANGER))
    world.mine([parent, child])
    eye = Eye(world, "one")
    rules = (rule("income", "ops", Topic.INFLOW), rule("theft", "chat", Topic.OUTFLOW))
    eye.settings = replace(eye.settings, policy=Policy(rules, FINALITY, {}))
    eye.look()
    del world.blocks[-1:]
    world.mempool = {parent.txid: parent, child.txid: child}
    for _ in range(2):
        world.mine([])
    eye.look()
    eye.settings = replace(eye.settings, policy=Policy((), FINALITY, {}))
    world.mempool.clear()
    world.mine([send(world, [coin], (sats - 900, STRANGER))])
    eye.look()
    fell = {event.txid: event.id for event in eye.events if event.type == "tx.conflicted"}
    heard = eye.connection.execute("SELECT endpoint, webhook_id FROM deliveries").fetchall()
    assert ("ops", fell[parent.txid]) in map(tuple, heard)
    assert ("chat", fell[child.txid]) in map(tuple, heard)


def test_a_coin_that_is_shown_while_its_spend_is_in_no_block_puts_that_right() -> None:
    """Two treasuries: the one was told of a payment to it, the other of nothing."""
    world = World(5, {"alpha": OURS[:2], "beta": OURS[2:4]})
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (60_000, OURS[1]), (40_000, OURS[3]), (sats - 100_200, STRANGER))
    world.mine([parent])
    spend = send(world, [Outpoint(parent.txid, i) for i in range(2)], (5_000, OURS[0]), (94_000, STRANGER))
    eye = Eye(world, "one", hidden={parent.txid})
    eye.look()
    eye.events.clear()
    eye.hidden.clear()
    eye.show(parent)
    assert [(e.type, e.treasury, e.txid, e.flow) for e in eye.events] == [
        ("tx.confirmed", "alpha", parent.txid, Flow.INFLOW),
        ("tx.confirmed", "beta", parent.txid, Flow.INFLOW),
        ("tx.reclassified", "alpha", spend.txid, Flow.OUTFLOW),
        ("tx.seen", "beta", spend.txid, Flow.OUTFLOW),
    ]
    assert eye.events[2].data["delta_sats"] == {"confirmed": 0, "pending": -60_000}
    check_balances(eye)
    assert verify(eye.connection).failures == []
    eye.look()
    assert len(eye.events) == 4


def test_a_spend_that_is_gone_when_its_coin_is_shown_is_not_held_by_that() -> None:
    world = World(5, {"alpha": OURS[:2]})
    coin, sats = strange_coin(world)
    world.mine([parent := send(world, [coin], (60_000, OURS[1]), (sats - 60_200, STRANGER))])
    send(world, [Outpoint(parent.txid, 0)], (5_000, OURS[0]), (54_000, STRANGER))
    eye = Eye(world, "one", hidden={parent.txid})
    eye.look()
    eye.hidden.clear()
    world.mempool.clear()
    eye.settle()
    assert told(eye)[1:] == [("tx.confirmed", parent.txid), ("tx.dropped", eye.events[-1].txid)]
    check_balances(eye)
    assert verify(eye.connection).failures == []
