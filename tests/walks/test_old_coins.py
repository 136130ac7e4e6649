"""Old coins and unused keys: told once, by the first event of the transaction that spends them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.walks.by_hand import OURS, STRANGER, send, strange_coin
from tests.walks.eye import FINALITY, Eye
from tests.walks.world import World
from watcher.bitcoin.types import Outpoint
from watcher.core.known import Flow
from watcher.core.rules import Policy
from watcher.core.rules_types import Rule, Severity, Topic

if TYPE_CHECKING:
    from watcher.bitcoin.transactions import Transaction


def rule(*on: Topic, days: int | None = None, at: tuple[Any, ...] = ("final",), least: int = 0) -> Rule:
    return Rule(
        name="-".join(on),
        on=on,
        treasuries=("*",),
        min_sats=least,
        at=at,
        severity=Severity.CRITICAL,
        send_to=("ops",),
        dormant_days=days,
        btc_sats=None,
        for_seconds=0,
    )


def funded(*rules: Rule) -> tuple[World, Eye, list[Transaction]]:
    """A world in which two of our scripts hold two coins each."""
    world = World(5, {"alpha": OURS[:3]})
    eye = Eye(world, "one")
    eye.settings = replace(eye.settings, policy=Policy(rules, FINALITY, {}))
    paid = []
    for script in (OURS[0], OURS[0], OURS[1], OURS[1]):
        coin, sats = strange_coin(world)
        tx = send(world, [coin], (sats - 100, script))
        world.mine([tx])
        paid.append(tx)
    eye.look()
    eye.events.clear()
    return world, eye, paid


def spend(world: World, *coins: Transaction, to: bytes = STRANGER) -> Transaction:
    total = sum(tx.outputs[0].sats for tx in coins)
    return send(world, [Outpoint(tx.txid, 0) for tx in coins], (total - 100, to))


def owed(eye: Eye) -> list[tuple[str, str, list[str]]]:
    bodies = [
        json.loads(r["body"]) for r in eye.connection.execute("SELECT body FROM deliveries ORDER BY id")
    ]
    return [(body["type"], body["data"]["step"], body["data"]["rules"]) for body in bodies]


def test_the_first_spend_of_an_address_is_marked_in_all_its_events_and_the_second_is_not() -> None:
    world, eye, paid = funded(rule(Topic.FIRST_SPEND))
    first = spend(world, paid[0])
    eye.look()
    again = spend(world, paid[1])  # of the same address, before the first is in a block
    eye.look()
    world.mine([first, again])
    eye.look()
    marks = {(e.txid, e.type): e.data["first_spend"] for e in eye.events}
    assert marks == {
        (first.txid, "tx.seen"): True,
        (again.txid, "tx.seen"): False,
        (first.txid, "tx.confirmed"): True,
        (again.txid, "tx.confirmed"): False,
    }
    assert owed(eye) == [("tx.seen", "seen", ["first_spend"])]


def test_of_two_first_spends_seen_at_once_the_earlier_in_the_chain_is_the_first() -> None:
    world, eye, paid = funded(rule(Topic.FIRST_SPEND))
    one, other = spend(world, paid[2]), spend(world, paid[3])
    world.mine([one])
    world.mine([other])
    eye.look()
    assert [(e.txid, e.data["first_spend"]) for e in eye.events if e.flow is Flow.OUTFLOW] == [
        (one.txid, True),
        (other.txid, False),
    ]
    assert owed(eye) == [("tx.confirmed", "confirmed", ["first_spend"])]


def test_an_address_that_spent_before_it_was_watched_has_no_first_spend_any_more() -> None:
    world = World(5, {"alpha": OURS[:1]})
    paid = []
    for _ in range(2):
        coin, sats = strange_coin(world)
        paid.append(send(world, [coin], (sats - 100, OURS[0])))
        world.mine(paid[-1:])
    world.mine([spend(world, paid[0])])
    eye = Eye(world, "one")
    eye.look()
    spend(world, paid[1])
    (told,) = eye.look()
    assert (told.type, told.data["first_spend"]) == ("tx.seen", False)


def test_a_coin_that_comes_and_goes_between_two_looks_is_not_the_first_if_its_address_spent_before() -> None:
    world, eye, paid = funded(rule(Topic.FIRST_SPEND))
    world.mine([spend(world, paid[0])])
    eye.look()
    coin, sats = strange_coin(world)
    comes = send(world, [coin], (sats - 100, OURS[0]))
    goes = spend(world, comes)
    told = eye.hear(comes, goes)
    assert [(e.txid, e.data["first_spend"]) for e in told] == [(comes.txid, False), (goes.txid, False)]


def test_coins_that_lay_long_are_told_once_and_their_correction_too() -> None:
    world, eye, paid = funded(rule(Topic.DORMANT, days=1_000))
    eye.now_ms += 999 * 86_400_000
    spend(world, paid[0])
    eye.look()
    assert owed(eye) == []
    eye.now_ms += 2 * 86_400_000
    old = spend(world, paid[2])
    eye.look()
    assert owed(eye) == [("tx.seen", "seen", ["dormant"])]
    world.mine([old])
    for _ in range(FINALITY):
        world.mine([])
    eye.look()
    assert owed(eye) == [("tx.seen", "seen", ["dormant"])]


def test_an_internal_move_of_old_coins_counts_and_an_inflow_or_a_small_one_does_not() -> None:
    world, eye, paid = funded(rule(Topic.DORMANT, Topic.FIRST_SPEND, days=0, least=2_000_000))
    spend(world, paid[0], to=OURS[2])
    eye.look()
    assert owed(eye) == [("tx.seen", "seen", ["dormant-first_spend"])]
    coin, sats = strange_coin(world)
    send(world, [coin], (sats - 100, OURS[2]))
    small = paid[1].outputs[0].sats
    send(world, [Outpoint(paid[1].txid, 0)], (small - 1_000_100, OURS[2]), (1_000_000, STRANGER))
    eye.look()
    assert len(owed(eye)) == 1


def test_with_a_flow_and_its_rungs_each_is_told_at_its_time() -> None:
    world, eye, paid = funded(rule(Topic.OUTFLOW, Topic.FIRST_SPEND, at=("confirmed",)))
    tx = spend(world, paid[0])
    eye.look()
    world.mine([tx])
    eye.look()
    assert [(kind, step) for kind, step, _ in owed(eye)] == [
        ("tx.seen", "seen"),
        ("tx.confirmed", "confirmed"),
    ]
