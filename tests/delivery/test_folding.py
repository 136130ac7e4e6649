"""A flood on its way to people and to machines, over a real ledger and real sockets."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.delivery.rig import HandClock, Ledger, Receiver, status, target, until, webhook
from tests.delivery.samples import DUST, body, in_block, transaction
from tests.delivery.services import texts
from tests.delivery.test_conformance import group
from tests.delivery.test_outbox_lanes import delivered, running
from tests.delivery.test_standing_alerts import SETTINGS, STALE
from watcher.delivery.alertmanager import AlertmanagerSender
from watcher.delivery.chat import ChatSender
from watcher.delivery.http import Poster
from watcher.delivery.queues import FOLD_FROM, GATHER_MS, MOST_BYTES, PAGE, QUIET_MS, Fold
from watcher.delivery.schedule import DELAYS
from watcher.delivery.slack import Slack
from watcher.ledger.conditions import set_condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.core.outbox import Leased

OUTFLOW = transaction("tx.seen", "outflow")
INFLOW = transaction("tx.confirmed", "inflow", **in_block())


def chat(receiver: Receiver, now: Callable[[], float] = time.time) -> ChatSender:
    http = Poster(target(f"http://127.0.0.1:{receiver.port}/"), now=now, seconds=60.0)
    return ChatSender(http, Slack(), texts("en"), now=now)


def titles(receiver: Receiver) -> list[str]:
    return [json.loads(request.body)["text"].partition("\n")[0] for request in receiver.requests]


@pytest.mark.slow
async def test_5000_inflows_are_one_message_to_people_and_5000_to_machines_and_an_outflow_goes_first(
    ledger: Ledger,
) -> None:
    bodies = [*DUST, OUTFLOW]
    for endpoint in ("people", "machine", "pager"):
        ledger.owe_bodies(endpoint, bodies)
    async with Receiver() as people, Receiver() as machine, Receiver() as pager:
        alerts = Poster(target(f"http://127.0.0.1:{pager.port}"), now=time.time, seconds=60.0)
        senders = {
            "people": chat(people),
            "machine": webhook(target(machine.url)),
            "pager": AlertmanagerSender([alerts], texts("en"), now=time.time),
        }
        async with (
            senders["people"],
            senders["machine"],
            senders["pager"],
            running(ledger, senders),
        ):
            for endpoint in senders:
                await delivered(ledger, endpoint, 240.0)
        first, folded = titles(people)
        assert "Outflow" in first
        assert folded.startswith(
            "5000 inflows to El Salvador, National Bitcoin Office, 0.15227500 BTC in all"
        )
        assert len(set(machine.ids)) == 5_001
        assert sum(len(json.loads(request.body)) for request in pager.requests) == 5_001
    (row,) = ledger.rows(
        "SELECT count(*) AS n, max(number) AS most FROM attempts WHERE outcome = 'delivered'"
    )
    assert row == {"n": 3 * 5_001, "most": 1}


async def test_all_of_a_folded_message_share_its_failure_and_come_again_together(ledger: Ledger) -> None:
    clock = HandClock(1_800_000_000.0)
    ledger.owe_bodies("people", DUST[:100], at=clock.time - 60)
    async with (
        Receiver(script=[status(500)]) as people,
        chat(people, clock.now) as sender,
        running(ledger, {"people": sender}, clock=clock, draw=0.5) as work,
    ):
        await until(lambda: len(work.log.seen) == 100 and clock.parked)
        rows = ledger.rows("SELECT DISTINCT state, attempts, due_ms FROM deliveries")
        assert rows == [{"state": "pending", "attempts": 1, "due_ms": 1_800_000_005_250}]
        clock.turn_to(clock.time + 5.25)
        await delivered(ledger, "people")
        assert len(people.requests) == 2
        assert people.requests[0].body == people.requests[1].body


async def test_one_inflow_waits_for_more_only_a_moment(ledger: Ledger) -> None:
    clock = HandClock(1_800_000_000.0)
    ledger.owe_bodies("people", [INFLOW], at=clock.time)
    async with (
        Receiver() as people,
        chat(people, clock.now) as sender,
        running(ledger, {"people": sender}, clock=clock),
    ):
        await until(lambda: clock.parked)
        clock.turn_to(clock.time + (QUIET_MS - 1) / 1000)
        await until(lambda: clock.parked)
        assert not people.requests
        clock.turn_to(clock.time + 0.001)
        await delivered(ledger, "people")
        assert len(people.requests) == 1


async def test_what_was_refused_and_comes_after_later_news_says_so_and_holds_up_nothing(
    ledger_of_a_log: Ledger,
) -> None:
    clock, ledger = HandClock(1_800_000_000.0), ledger_of_a_log
    async with (
        Receiver(script=[status(500)]) as people,
        chat(people, clock.now) as sender,
        running(ledger, {"pager": sender}, clock=clock) as work,
    ):

        async def told(*states: str, holds: bool) -> None:
            """Until it is committed and these are the states."""
            at_ms = int(clock.time * 1000)
            await ledger.run(lambda c: set_condition(c, SETTINGS, STALE, {}, at_ms, holds=holds))
            work.outbox.ring("pager")
            await until(lambda: ledger.states("pager") == [*states])

        await told("pending", holds=True)
        await until(lambda: work.log.outcomes == ["status_5xx"] and clock.parked)
        await told("pending", "delivered", holds=False)
        await until(lambda: len(work.log.seen) == 2 and clock.parked)
        clock.turn_to(clock.time + DELAYS[1])
        await delivered(ledger, "pager")
        await told("delivered", "delivered", "delivered", holds=True)
    begins, ends = "alpha: NOT WATCHED reliably at present", "alpha: watched again, without gaps"
    overtaken = f"OVERTAKEN by a later message: {begins}"
    assert titles(people) == [f"[CRITICAL] {title}" for title in (begins, ends, overtaken, begins)]


# The queue by itself, at a time of our choosing

NOW_MS = 1_800_000_000_000


def due(*bodies: str, created: int = 0, first: int = 1) -> list[Leased]:
    """Deliveries that were committed so many milliseconds after `NOW_MS`."""
    return [replace(each, id=first + n, created_ms=NOW_MS + created) for n, each in enumerate(group(*bodies))]


def fold(after_ms: int = 0) -> Fold:
    return Fold(lambda: (NOW_MS + after_ms) / 1000)


def sizes(queue: Fold) -> list[int]:
    found = []
    while taken := queue.take():
        found.append(len(taken))
    return found


def test_a_few_are_told_one_by_one_and_many_as_one() -> None:
    queue = fold(GATHER_MS)
    queue.add(due(*DUST[: FOLD_FROM - 1]))
    assert sizes(queue) == [1] * (FOLD_FROM - 1)
    queue.add(due(*DUST[:FOLD_FROM]))
    assert sizes(queue) == [FOLD_FROM]


def test_only_what_is_alike_is_folded() -> None:
    others = [transaction("tx.confirmed", "inflow", treasury="reserve") for _ in range(4)]
    reversed_ = [transaction("tx.unconfirmed", "inflow") for _ in range(4)]
    sources = [
        body("source.failed", severity="warning", source=name, incident=f"inc_{name}") for name in "aabbaabb"
    ]
    queue = fold(GATHER_MS)
    queue.add(due(*DUST[:4], *others, *reversed_, *sources))
    assert sizes(queue) == [4, 4, 4, 4, 4]


def test_the_sides_of_a_condition_stay_in_turn() -> None:
    """Folded, the last message would say that it is fresh, and it is not."""
    sides = [body(f"treasury.{side}", severity="warning") for side in (*["stale", "fresh"] * 3, "stale")]
    queue = fold(GATHER_MS)
    queue.add(due(*sides))
    taken = []
    while group := queue.take():
        taken.append([each.id for each in group])
    assert taken == [[1], [2], [3], [4], [5], [6], [7]]


def test_no_later_news_of_an_incident_goes_before_earlier() -> None:
    """What is folded is taken out of its turn, but not past the story it belongs to."""
    blocks = [transaction("tx.confirmed", "inflow", **in_block(), incident=f"inc_{n}") for n in range(5)]
    seen = transaction("tx.seen", "inflow", incident="inc_4")
    queue = fold(GATHER_MS)
    queue.add(due(*blocks[:4], seen, blocks[4]))
    assert [[delivery.id for delivery in queue.take() or ()] for _ in range(3)] == [[1, 2, 3, 4], [5], [6]]


def test_movements_of_many_incidents_are_one_message_and_claims_and_notes_are_not() -> None:
    incidents = [f"inc_{n}" for n in range(5)]
    queue = fold(GATHER_MS)
    queue.add(due(*[transaction("tx.confirmed", "inflow", incident=each) for each in incidents]))
    assert sizes(queue) == [5]
    queue.add(due(*[body("claim.mismatched", severity="warning", incident=each) for each in incidents]))
    assert sizes(queue) == [1] * 5
    queue = fold()  # nobody waits for what somebody wrote
    queue.add(due(*[body("incident.noted", severity="info", text=f"call {n}") for n in range(5)]))
    assert sizes(queue) == [1] * 5


def test_outflows_and_what_is_critical_never_wait_and_stand_alone() -> None:
    queue = fold()
    queue.add(due(*DUST[:10], *[OUTFLOW] * 5, body("config.changed", severity="critical")))
    assert sizes(queue) == [1] * 6
    assert len(queue.take() or ()) == 0


def test_a_trickle_waits_no_longer_than_the_most() -> None:
    queue = fold(GATHER_MS)
    queue.add(due(DUST[0], created=0))
    queue.add(due(*DUST[1:20], created=GATHER_MS, first=2))
    assert queue.ready_ms() == NOW_MS + GATHER_MS
    assert sizes(queue) == [20]


def test_what_was_committed_before_the_clock_was_set_back_waits_for_nothing() -> None:
    queue = fold()
    queue.add(due(*DUST[:5], created=86_400_000))
    assert sizes(queue) == [5]


def test_a_delivery_borrowed_anew_replaces_the_old() -> None:
    queue = fold(GATHER_MS)
    queue.add(due(*DUST[:10]))
    queue.add([replace(each, until_ms=7) for each in due(*DUST[:10])])
    (taken,) = [queue.take()]
    assert taken is not None
    assert [each.until_ms for each in taken] == [7] * 10


def test_memory_is_bounded() -> None:
    queue = fold()
    assert queue.wants() == PAGE
    large = "x" * 20_000
    padded = [transaction("tx.confirmed", "inflow", pad=large) for _ in range(MOST_BYTES // 20_000 + 1)]
    queue.add(due(*padded))
    assert queue.wants() == 0
    queue.clear()
    assert queue.wants() == PAGE
    assert math.isinf(queue.ready_ms())
