"""What is concluded from a look at some scripts, or at the chain alone, while others are still to be read."""

from __future__ import annotations

from tests.walks.by_hand import OURS, STRANGER, send, strange_coin, told, watched
from tests.walks.eye import Eye
from tests.walks.walk import check_balances
from tests.walks.world import World
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Outpoint
from watcher.core.known import Flow
from watcher.ledger.verify import verify

FIRST, SECOND = scripthash(OURS[0]), scripthash(OURS[1])


def states(eye: Eye) -> dict[str, str]:
    """Where the book has each transaction."""
    rows = eye.connection.execute("SELECT t.txid, e.state FROM entries e JOIN transactions t ON t.id = e.tx")
    return {row["txid"]: row["state"] for row in rows}


def test_a_child_whose_script_was_not_read_is_not_missing() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (30_000, OURS[0]), (sats - 30_200, STRANGER))
    child = send(world, [Outpoint(parent.txid, 1)], (sats - 30_400, OURS[1]))
    eye.look()
    eye.look({FIRST})
    assert states(eye) == {parent.txid: "held", child.txid: "held"}


def test_a_child_falls_with_its_parent_before_its_own_script_is_read() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (30_000, OURS[0]), (sats - 30_200, STRANGER))
    child = send(world, [Outpoint(parent.txid, 1)], (sats - 30_400, OURS[1]))
    eye.look()
    world.mempool.clear()
    send(world, [coin], (sats - 900, STRANGER))
    eye.look({FIRST})
    assert told(eye)[2:] == [("tx.replaced", parent.txid), ("tx.replaced", child.txid)]


def test_of_two_rivals_shown_at_once_the_first_stays() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    first = send(world, [coin], (sats - 200, OURS[0]))
    eye.look()
    rival = send(world, [coin], (sats - 900, OURS[1]))
    eye.hear(first, rival)
    eye.hear(rival, first)
    assert told(eye) == [("tx.seen", first.txid)]


def test_of_two_rivals_that_are_new_at_once_one_is_told() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    first = send(world, [coin], (sats - 200, OURS[0]))
    rival = send(world, [coin], (sats - 900, OURS[1]))
    eye.hear(first, rival)
    assert told(eye) == [("tx.seen", first.txid)]
    del world.mempool[first.txid]
    eye.look()
    assert told(eye)[1:] == [("tx.replaced", first.txid), ("tx.seen", rival.txid)]
    check_balances(eye)


def test_of_two_rivals_that_are_new_at_once_the_other_s_child_waits_with_it() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    pair = [send(world, [coin], (sats - fee, OURS[0])) for fee in (200, 900)]
    first, rival = sorted(pair, key=lambda tx: tx.txid)  # the order in which parents come first
    child = send(world, [Outpoint(rival.txid, 0)], (rival.outputs[0].sats - 500, STRANGER))
    eye.hear(first, rival, child)
    assert [event.txid for event in eye.events if event.txid] == [first.txid]


def test_that_what_nobody_was_told_of_has_fallen_is_no_news() -> None:
    world = World(5, {"alpha": OURS[:2]})
    eye = Eye(world, "one")
    coin, sats = strange_coin(world)
    send(world, [coin], (sats - 200, OURS[0]))
    eye.look({FIRST})
    world.mempool.clear()
    later = send(world, [coin], (sats - 900, OURS[0]))
    eye.look({FIRST})
    assert told(eye) == [("tx.seen", later.txid)]
    eye.look({SECOND})
    assert told(eye)[1:] == [("watch.baselined", None)]
    check_balances(eye)


def test_a_new_branch_unwinds_the_last_block_first() -> None:
    world, eye = watched()
    inflows = []
    for ours in OURS[:2]:
        coin, sats = strange_coin(world)
        inflows.append(send(world, [coin], (sats - 200, ours)))
        world.mine([inflows[-1]])
    eye.look()
    del world.blocks[-2:]
    world.mempool = {tx.txid: tx for tx in inflows}
    for _ in range(3):
        world.mine([])
    eye.look()
    undone = [txid for kind, txid in told(eye) if kind == "tx.unconfirmed"]
    assert undone == [inflows[1].txid, inflows[0].txid]


def test_a_block_that_left_and_came_back_before_anything_was_read_has_moved_nothing() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    inflow = send(world, [coin], (sats - 200, OURS[0]))
    world.mine([inflow])
    eye.look()
    ours = list(world.blocks)
    del world.blocks[-1:]
    for _ in range(2):
        world.mine([])
    eye.follow()
    world.blocks = ours
    world.mempool.clear()
    for _ in range(2):
        world.mine([])
    eye.follow()
    eye.look()
    kinds = [kind for kind, _ in told(eye)]
    assert kinds == ["tx.confirmed", "chain.reorganized", "chain.reorganized"]
    check_balances(eye)


def test_each_of_many_moves_between_two_branches_is_a_statement_of_its_own() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    inflow = send(world, [coin], (sats - 200, OURS[0]))
    shared = list(world.blocks)
    world.mine([inflow])
    one = list(world.blocks)
    eye.look()
    world.blocks = list(shared)
    world.mempool[inflow.txid] = inflow
    world.mine([])
    world.mine([inflow])
    other = list(world.blocks)
    eye.look()
    for branch in (one, other, one, other):
        world.blocks = list(branch)
        while world.tip.height <= eye.chain[-1].height:
            world.mine([])
        eye.look()
    story = [event for event in eye.events if event.txid == inflow.txid and event.type != "tx.final"]
    assert [event.type for event in story] == ["tx.confirmed", *["tx.moved"] * 5]
    assert len({event.id for event in story}) == 6
    assert [event.data["supersedes"] for event in story[1:]] == [event.id for event in story[:-1]]
    check_balances(eye)


def test_a_coin_that_is_shown_after_its_spend_puts_that_right() -> None:
    world, eye = watched()
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (60_000, OURS[1]), (sats - 60_200, STRANGER))
    spend = send(world, [Outpoint(parent.txid, 0)], (5_000, OURS[0]), (54_000, STRANGER))
    world.mine([parent, spend])
    eye.show(spend)
    assert [(e.type, e.flow) for e in eye.events] == [("tx.confirmed", Flow.INFLOW)]
    eye.show(parent)
    assert told(eye)[1:] == [("tx.confirmed", parent.txid), ("tx.reclassified", spend.txid)]
    assert eye.events[-1].flow is Flow.OUTFLOW
    assert eye.events[-1].data["delta_sats"] == {"confirmed": -60_000, "pending": 0}
    check_balances(eye)
    eye.look()
    assert len(eye.events) == 3
    assert verify(eye.connection).failures == []


def test_a_coin_that_a_first_reading_was_not_shown_is_told_with_what_spends_it() -> None:
    """Whoever answered hid the coin: the baseline counted the spend as a payment to us."""
    world = World(5, {"alpha": OURS[:2]})
    coin, sats = strange_coin(world)
    parent = send(world, [coin], (60_000, OURS[1]), (sats - 60_200, STRANGER))
    spend = send(world, [Outpoint(parent.txid, 0)], (5_000, OURS[0]), (54_000, STRANGER))
    world.mine([parent, spend])
    eye = Eye(world, "one", hidden={parent.txid})
    eye.look()
    assert told(eye) == [("watch.baselined", None)]
    eye.hidden.clear()
    eye.look()
    assert told(eye)[1:] == [("tx.confirmed", parent.txid), ("tx.reclassified", spend.txid)]
    check_balances(eye)
    assert verify(eye.connection).failures == []
