"""Announced movements: recognised by where they pay and how much in all, told quietly, never silenced."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.walks.eye import FINALITY, Eye
from tests.walks.test_old_coins import spend
from tests.walks.test_scenarios import OURS, STRANGER, send, strange_coin
from tests.walks.world import World, script
from watcher.bitcoin.types import Outpoint
from watcher.core.rules import Policy
from watcher.core.rules_types import Rule, Severity, Topic
from watcher.ledger.announcing import announce
from watcher.ledger.expectations import Announcement
from watcher.ledger.notes import note

if TYPE_CHECKING:
    from watcher.bitcoin.transactions import Transaction

FRIEND, OTHER = script("friend"), script("other friend")


def rule(name: str, endpoint: str, *on: Topic, treasury: str = "*") -> Rule:
    return Rule(
        name=name,
        on=on,
        treasuries=(treasury,),
        min_sats=0,
        at=("seen", "final"),
        severity=Severity.CRITICAL,
        send_to=(endpoint,),
        dormant_days=None,
        btc_sats=None,
        for_seconds=0,
    )


RULES = (
    rule("theft", "ops", Topic.OUTFLOW),
    rule("keys", "chat", Topic.FIRST_SPEND),
    rule("income", "accounts", Topic.INFLOW),
    rule("others", "beta", Topic.OUTFLOW, treasury="beta"),
)


def funded() -> tuple[World, Eye, list[Transaction]]:
    world = World(5, {"alpha": OURS[:2], "beta": OURS[2:3]})
    eye = Eye(world, "one")
    eye.settings = replace(eye.settings, policy=Policy(RULES, FINALITY, {}))
    paid = []
    for _ in range(4):
        coin, sats = strange_coin(world)
        paid.append(send(world, [coin], (sats - 100, OURS[0])))
        world.mine(paid[-1:])
    eye.look()
    eye.events.clear()
    return world, eye, paid


def expect(eye: Eye, most: int, *to: bytes, hours: int = 1) -> None:
    announced = Announcement("alpha", to, most, eye.now_ms + hours * 3_600_000)
    announce(eye.connection, eye.settings, announced, reason="a move", by="the board", at_ms=eye.now_ms)


def owed(eye: Eye, endpoint: str = "ops") -> list[tuple[str, str, bool]]:
    rows = eye.connection.execute("SELECT body FROM deliveries WHERE endpoint = ? ORDER BY id", (endpoint,))
    bodies: list[Any] = [json.loads(row["body"]) for row in rows]
    return [(b["type"], b["data"]["severity"], b["data"].get("expected", False)) for b in bodies]


def test_it_is_told_to_whom_it_makes_quieter_as_loudly_as_the_outflow_would_be() -> None:
    _, eye, _ = funded()
    expect(eye, 10**9, FRIEND)
    announced = [("movement.expected", "critical", False)]
    assert [owed(eye, name) for name in ("ops", "chat", "accounts", "beta")] == [announced, announced, [], []]


def test_what_matches_is_info_and_marked_at_every_rung_also_after_its_time() -> None:
    world, eye, paid = funded()
    expect(eye, 10**9, FRIEND, OTHER)
    tx = spend(world, paid[0], to=OTHER)
    eye.look()
    eye.now_ms += 2 * 3_600_000
    world.mine([tx])
    for _ in range(FINALITY):
        world.mine([])
    eye.look()
    assert owed(eye)[1:] == [("tx.seen", "info", True), ("tx.final", "info", True)]
    rated = eye.connection.execute("SELECT severity FROM events WHERE txid = ?", (tx.txid,))
    assert {row["severity"] for row in rated} == {"info"}
    spend(world, paid[1], to=OTHER)  # the time is over
    eye.look()
    assert owed(eye)[-1] == ("tx.seen", "critical", False)


def test_an_output_to_a_stranger_is_not_expected_and_change_to_ourselves_is() -> None:
    world, eye, paid = funded()
    expect(eye, 10**9, FRIEND)
    have = paid[0].outputs[0].sats
    send(world, [Outpoint(paid[0].txid, 0)], (have // 2, FRIEND), (have // 4, OURS[1]))
    eye.look()
    send(world, [Outpoint(paid[1].txid, 0)], (have // 2, FRIEND), (have // 4, STRANGER))
    eye.look()
    assert owed(eye)[1:] == [("tx.seen", "info", True), ("tx.seen", "critical", False)]


def test_all_together_pay_no_more_than_was_said_and_a_replacement_counts_once() -> None:
    world, eye, paid = funded()
    have = paid[0].outputs[0].sats
    expect(eye, have + have // 2, FRIEND)
    spend(world, paid[0], to=FRIEND)
    eye.look()
    world.mempool.clear()
    send(world, [Outpoint(paid[0].txid, 0)], (have - 50_000, FRIEND))
    eye.look()
    assert next(one for one in owed(eye) if one[0] == "tx.seen") == ("tx.seen", "info", True)
    marked = eye.connection.execute("SELECT count(DISTINCT incident), count(*) FROM expected").fetchone()
    assert tuple(marked) == (1, 2)
    spend(world, paid[1], to=FRIEND)
    eye.look()
    assert owed(eye)[-1] == ("tx.seen", "critical", False)


def test_a_theft_by_replacement_of_what_was_announced_is_as_loud_as_ever() -> None:
    world, eye, paid = funded()
    expect(eye, 10**9, FRIEND)
    spend(world, paid[0], to=FRIEND)
    eye.look()
    world.mempool.clear()
    spend(world, paid[0], to=STRANGER)
    eye.look()
    assert owed(eye)[1:] == [
        ("tx.seen", "info", True),
        ("tx.replaced", "critical", False),
        ("tx.seen", "critical", False),
    ]


def test_a_note_goes_to_those_who_were_told_and_to_nobody_else() -> None:
    world, eye, paid = funded()
    spend(world, paid[0], to=STRANGER)
    (event,) = eye.look()
    assert event.incident is not None
    committed = note(eye.connection, eye.settings, event.incident, "that was us", "somebody", eye.now_ms)
    assert committed is not None
    assert committed.endpoints == {"ops", "chat"}
    assert committed.events[0].data["treasury"] == "alpha"
    assert note(eye.connection, eye.settings, "inc_0", "that was us", "somebody", eye.now_ms) is None
