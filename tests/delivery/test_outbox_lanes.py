"""The outbox over real sockets and a real ledger: order, independence, the schedule, crashes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from tests.delivery.rig import (
    SECRET,
    HandClock,
    Ledger,
    Log,
    Receiver,
    Request,
    hang,
    status,
    target,
    until,
    webhook,
)
from watcher.app.deliveries import Deliveries
from watcher.delivery.endpoint import Connectionless
from watcher.delivery.http import Poster
from watcher.delivery.outbox import Outbox, Timing
from watcher.delivery.queues import CONCURRENT, LEND, Line
from watcher.delivery.schedule import DELAYS
from watcher.delivery.signing import Signer
from watcher.delivery.verdict import Reason, Rejected
from watcher.delivery.webhook import WebhookSender
from watcher.ledger.outbox import LedgerStore, hasten, redeliver, redeliver_since

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Mapping

    from watcher.app.deliveries import Lent
    from watcher.core.outbox import Lease
    from watcher.delivery.endpoint import Group, Sender
    from watcher.delivery.verdict import Verdict


@dataclass
class Running:
    """An outbox at work."""

    outbox: Outbox
    log: Log
    task: asyncio.Task[None]

    async def kill(self) -> None:
        """End it at once, as a crash would: what it had in hand is not given back."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def running(
    ledger: Ledger, senders: Mapping[str, Sender], *, clock: HandClock | None = None, draw: float = 0.0
) -> AsyncIterator[Running]:
    timing = (
        Timing(now=time.time, draw=lambda: draw)
        if clock is None
        else Timing(now=clock.now, draw=lambda: draw, wait=clock.wait)
    )
    log = Log()
    outbox = Outbox(LedgerStore(ledger.run), senders, timing=timing, observer=log)
    work = Running(outbox, log, asyncio.create_task(outbox.run()))
    try:
        yield work
    finally:
        await work.kill()


async def delivered(ledger: Ledger, endpoint: str, seconds: float = 30.0) -> None:
    # one row is asked for again and again, not thousands: whoever delivers waits for the same thread
    left = "SELECT 1 FROM deliveries WHERE endpoint = ? AND state <> 'delivered' LIMIT 1"
    await until(lambda: not ledger.rows(left, endpoint), seconds)


async def test_what_is_committed_arrives_verified_in_order_and_is_recorded(ledger: Ledger) -> None:
    async with (
        Receiver() as receiver,
        webhook(target(receiver.url)) as sender,
        running(ledger, {"ops": sender}) as work,
    ):
        await until(lambda: ledger.commits >= 2)
        ids = ledger.owe("ops")
        work.outbox.ring("ops")
        await until(lambda: receiver.ids == ids)  # by the ring: it looks by itself after a minute
        await delivered(ledger, "ops")
        ids += ledger.owe("ops", 200)
        work.outbox.ring("ops")
        await delivered(ledger, "ops")
        assert sorted(receiver.ids) == ids
        starts = [row["at_ms"] for row in ledger.rows("SELECT at_ms FROM attempts ORDER BY delivery")]
        assert starts == sorted(starts)
        for request in receiver.requests:
            Webhook(SECRET).verify(request.body, request.headers)
        await until(lambda: len(work.log.seen) == len(ids))
        assert set(work.log.outcomes) == {"delivered"}
        assert all(0 <= seconds < 60 for _, _, seconds in work.log.seen)


async def test_verdicts_that_come_while_the_ledger_is_busy_share_a_commit(ledger: Ledger) -> None:
    answered = asyncio.Event()

    async def when_told(request: Request, writer: asyncio.StreamWriter) -> None:
        await answered.wait()
        await status(200)(request, writer)

    class Counting(WebhookSender):
        ended = 0

        async def send(self, group: Group) -> Verdict:
            verdict = await super().send(group)
            self.ended += 1
            return verdict

    ledger.owe("ops", CONCURRENT)
    async with (
        Receiver(otherwise=when_told) as receiver,
        Counting(Poster(target(receiver.url), now=time.time), Signer(SECRET), now=time.time) as sender,
        running(ledger, {"ops": sender}),
    ):
        await until(lambda: len(receiver.requests) == CONCURRENT)
        before, given_back = ledger.commits, threading.Event()
        busy = asyncio.create_task(ledger.run(lambda _: given_back.wait(60)))
        await asyncio.sleep(0)  # the thread has it before any verdict
        answered.set()
        await until(lambda: sender.ended == CONCURRENT)
        given_back.set()
        assert await busy
        await delivered(ledger, "ops")
        # the one that was waited for, the first verdict's, and one for all that came after it
        assert ledger.commits - before <= 3


@pytest.mark.parametrize("draw", [0.0, 0.999])
async def test_an_endpoint_that_fails_for_three_days_is_tried_exactly_by_the_schedule(
    ledger: Ledger, draw: float
) -> None:
    clock = HandClock(1_800_000_000.0)
    began = clock.time
    ids = ledger.owe("ops", at=began)
    times: list[float] = []
    async with (
        Receiver(otherwise=status(500)) as receiver,
        webhook(target(receiver.url), now=clock.now) as sender,
        running(ledger, {"ops": sender}, clock=clock, draw=draw) as work,
    ):

        def rested(made: int) -> Callable[[], bool]:
            return lambda: len(work.log.seen) == made and clock.parked

        for made in range(1, len(DELAYS) + 1):
            await until(rested(made))
            assert len(receiver.requests) == made
            times.append(clock.time)
            if made < len(DELAYS):
                (row,) = ledger.rows("SELECT due_ms, state FROM deliveries")
                assert row["state"] == "pending"
                clock.turn_to((row["due_ms"] - 1) / 1000)
                await until(lambda: clock.parked)
                assert len(receiver.requests) == made  # a millisecond before: nothing
                clock.turn_to(row["due_ms"] / 1000)
        clock.turn_to(clock.time + 30 * 86_400)
        await until(lambda: clock.parked)
    assert receiver.ids == ids * 10
    assert len({request.body for request in receiver.requests}) == 1
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([delay * (1 + 0.1 * draw) for delay in DELAYS[1:]], abs=0.002)
    assert all(gap >= delay for gap, delay in zip(gaps, DELAYS[1:], strict=True))
    (row,) = ledger.rows("SELECT state, attempts, reason FROM deliveries")
    assert row == {"state": "dead", "attempts": 10, "reason": "status_5xx"}
    # each attempt is stamped with its own moment
    assert [int(request.headers["webhook-timestamp"]) for request in receiver.requests] == [
        int(moment) for moment in times
    ]


async def test_the_next_attempt_comes_by_itself_when_its_time_is_there(ledger: Ledger) -> None:
    clock = HandClock(1_800_000_000.0)
    ledger.owe("ops", at=clock.time)
    async with (
        Receiver(script=[status(500)]) as receiver,
        webhook(target(receiver.url), now=clock.now) as sender,
        running(ledger, {"ops": sender}, clock=clock) as work,
    ):
        await until(lambda: len(work.log.seen) == 1 and clock.parked)
        clock.turn_to(clock.time + 5.0)
        await delivered(ledger, "ops")
        assert len(receiver.requests) == 2


async def test_after_a_clock_set_back_every_lane_looks_at_once_whoever_is_in_the_config(
    ledger: Ledger,
) -> None:
    clock = HandClock(1_800_000_000.0)
    ledger.owe("ops", at=clock.time + 3_600)
    ledger.owe("ops.before.1", at=clock.time + 3_600)
    async with (
        Receiver() as here,
        Receiver() as there,
        webhook(target(here.url)) as ops,
        webhook(target(there.url)) as former,
        running(ledger, {"ops": ops, "ops.before.1": former}, clock=clock) as work,
    ):
        await until(lambda: clock.waiting == 2)
        await ledger.run(lambda c: hasten(c, int(clock.time * 1000)))
        work.outbox.ring_all()
        await delivered(ledger, "ops")
        await delivered(ledger, "ops.before.1")


@dataclass
class Lending:
    """Deliveries at work, and commits that lend what they put there."""

    ledger: Ledger
    deliveries: Deliveries
    log: Log

    async def waits(self) -> None:
        """Until the lane has looked at the ledger."""
        await until(lambda: self.deliveries.still_seconds() > 0.2)

    async def commit(self) -> tuple[list[str], Lent]:
        """The ids, and what is to be handed over."""

        def unit(connection: sqlite3.Connection) -> tuple[list[str], Lent]:
            ids = self.ledger.put(connection, "ops", ["{}"], int(time.time() * 1000))
            return ids, self.deliveries.lend(connection, ["ops"])

        return await self.ledger.run(unit)


@asynccontextmanager
async def lending(ledger: Ledger, sender: Sender) -> AsyncIterator[Lending]:
    timing, log = Timing(now=time.time, draw=lambda: 0.0), Log()
    deliveries = Deliveries(LedgerStore(ledger.run), {"ops": sender}, timing=timing, observer=log)
    task = asyncio.create_task(deliveries.run())
    try:
        yield Lending(ledger, deliveries, log)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_lent_in_its_commit_is_sent_without_another_look(ledger: Ledger) -> None:
    async with Receiver() as receiver, lending(ledger, webhook(target(receiver.url))) as here:
        await here.waits()
        before = ledger.commits
        ids, lent = await here.commit()
        here.deliveries.hand_over(["ops"], lent)
        await until(lambda: len(here.log.seen) == 1)
        assert receiver.ids == ids
        assert ledger.commits - before == 2  # the commit, and what came of it


async def test_what_was_due_before_is_lent_with_it_and_sent_first(ledger: Ledger) -> None:
    async with Receiver() as receiver, lending(ledger, webhook(target(receiver.url))) as here:
        await here.waits()
        earlier = ledger.owe("ops", 2)  # nobody rang
        later, lent = await here.commit()
        here.deliveries.hand_over(["ops"], lent)
        await delivered(ledger, "ops")
        assert receiver.ids == earlier + later


async def test_what_is_committed_before_the_outbox_begins_is_lent_by_nobody_and_sent_once(
    ledger: Ledger,
) -> None:
    async with Receiver() as receiver, lending(ledger, webhook(target(receiver.url))) as here:
        ids, lent = await here.commit()
        assert not lent
        here.deliveries.hand_over(["ops"], lent)
        await delivered(ledger, "ops")
        assert receiver.ids == ids


async def test_what_was_lent_in_a_commit_and_not_handed_over_comes_with_the_next_process(
    ledger: Ledger,
) -> None:
    async with Receiver() as receiver:
        async with lending(ledger, webhook(target(receiver.url))) as here:
            await here.waits()
            ids, lent = await here.commit()
            assert lent
        assert (receiver.ids, ledger.states("ops")) == ([], ["pending"])
        async with lending(ledger, webhook(target(receiver.url))):
            await delivered(ledger, "ops")
        assert receiver.ids == ids


async def test_what_was_lent_to_a_lane_that_is_exchanged_goes_where_it_leads_now(ledger: Ledger) -> None:
    async with (
        Receiver() as before,
        Receiver() as after,
        lending(ledger, webhook(target(before.url))) as here,
    ):
        await here.waits()
        ids, lent = await here.commit()
        here.deliveries.exchange({"ops": webhook(target(after.url))})
        here.deliveries.hand_over(["ops"], lent)
        await delivered(ledger, "ops")
        assert (before.ids, after.ids) == ([], ids)


async def test_what_is_committed_with_the_exchange_of_a_sender_does_not_go_where_it_led_before(
    ledger: Ledger,
) -> None:
    """The old lane has it in hand already: its look was asked for before the commit, and came after it."""

    class Counting(LedgerStore):
        looks = 0

        async def lease(self, endpoint: str, now_ms: int, limit: int) -> Lease:
            self.looks += 1
            return await super().lease(endpoint, now_ms, limit)

    store, reloaded = Counting(ledger.run), threading.Event()
    began_ms = int(time.time() * 1000)
    ids = ledger.owe("ops", at=time.time() + 3_600)
    async with Receiver() as before, Receiver() as after:
        timing = Timing(now=time.time, draw=lambda: 0.0)
        first, second = ({"ops": webhook(target(each.url))} for each in (before, after))
        deliveries = Deliveries(store, first, timing=timing, observer=Log())
        running = asyncio.create_task(deliveries.run())
        await until(lambda: store.looks == 1)

        def commit(connection: sqlite3.Connection) -> None:
            reloaded.wait(60)
            hasten(connection, began_ms)

        async def reload() -> None:
            await ledger.run(commit)
            deliveries.exchange(second)

        reloading = asyncio.create_task(reload())
        await asyncio.sleep(0)  # the ledger's thread has it
        deliveries.ring("ops")
        await until(lambda: store.looks == 2)
        reloaded.set()
        ledger.rows("SELECT 1")  # the loop stands still until all of it is done
        await reloading
        await delivered(ledger, "ops")
        assert (before.ids, after.ids) == ([], ids)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_an_attempt_that_spans_a_clock_set_back_and_fails_is_due_by_the_new_clock(
    ledger: Ledger,
) -> None:
    clock, answered = HandClock(1_800_000_000.0), asyncio.Event()

    async def when_told(request: Request, writer: asyncio.StreamWriter) -> None:
        await answered.wait()
        await status(500)(request, writer)

    ledger.owe("ops", at=clock.time)
    async with (
        Receiver(otherwise=when_told) as receiver,
        webhook(target(receiver.url), now=clock.now) as sender,
        running(ledger, {"ops": sender}, clock=clock) as work,
    ):
        await until(lambda: len(receiver.requests) == 1)
        clock.turn_to(clock.time - 86_400)
        answered.set()
        await until(lambda: len(work.log.seen) == 1)
        (row,) = ledger.rows("SELECT due_ms, took_ms FROM deliveries d JOIN attempts a ON a.delivery = d.id")
        assert row == {"due_ms": int((clock.time + DELAYS[1]) * 1000), "took_ms": 0}


async def test_a_throttled_endpoint_gets_nothing_until_the_time_it_asked_for(ledger: Ledger) -> None:
    clock = HandClock(1_800_000_000.0)
    ledger.owe("ops", at=clock.time)
    async with (
        Receiver(script=[status(429, "retry-after: 90")]) as receiver,
        webhook(target(receiver.url), now=clock.now) as sender,
        running(ledger, {"ops": sender}, clock=clock) as work,
    ):
        await until(lambda: len(work.log.seen) == 1 and clock.parked)
        ledger.owe("ops", at=clock.time)
        work.outbox.ring("ops")
        for passed in (30.0, 60.0, 89.9):
            clock.turn_to(1_800_000_000.0 + passed)
            await until(lambda: clock.parked)
            assert len(receiver.requests) == 1
        clock.turn_to(1_800_000_090.0)
        await delivered(ledger, "ops")
        assert len(receiver.requests) == 3


async def test_without_retry_after_a_429_follows_the_schedule(ledger: Ledger) -> None:
    clock = HandClock(1_800_000_000.0)
    ledger.owe("ops", at=clock.time)
    async with (
        Receiver(otherwise=status(429)) as receiver,
        webhook(target(receiver.url), now=clock.now) as sender,
        running(ledger, {"ops": sender}, clock=clock) as work,
    ):

        def rested(made: int) -> Callable[[], bool]:
            return lambda: len(work.log.seen) == made and clock.parked

        for made, step in ((1, 5.0), (2, 300.0), (3, 1800.0)):
            await until(rested(made))
            (row,) = ledger.rows("SELECT due_ms FROM deliveries")
            assert row["due_ms"] == round((clock.time + step) * 1000)
            clock.turn_to(clock.time + step)
        assert len(receiver.requests) >= 3


async def test_an_endpoint_that_hangs_delays_no_other(ledger: Ledger) -> None:
    ledger.owe("slow", 50)
    async with (
        Receiver(otherwise=hang) as slow,
        Receiver() as quick,
        webhook(target(slow.url, "slow")) as slow_sender,
        webhook(target(quick.url, "quick")) as quick_sender,
        running(ledger, {"slow": slow_sender, "quick": quick_sender}) as work,
    ):
        await until(lambda: len(slow.requests) == CONCURRENT)
        for count in (1, 100):
            ledger.owe("quick", count)
            work.outbox.ring("quick")
            await delivered(ledger, "quick")  # long before what hangs is given up
        assert len(slow.requests) == CONCURRENT


async def test_a_dead_receiver_costs_rows_and_no_memory(ledger: Ledger) -> None:
    ledger.owe("ops", 1_000)
    async with (
        Receiver(otherwise=hang) as receiver,
        webhook(target(receiver.url)) as sender,
        running(ledger, {"ops": sender}) as work,
    ):
        await until(lambda: len(receiver.requests) == CONCURRENT)
        for _ in range(5):
            work.outbox.ring("ops")
            await asyncio.sleep(0)
        (row,) = ledger.rows("SELECT count(*) AS lent FROM deliveries WHERE leased_ms NOT NULL")
        assert row["lent"] <= LEND + CONCURRENT


async def test_after_a_crash_what_was_in_hand_comes_again_with_equal_ids_and_bytes(ledger: Ledger) -> None:
    ids = ledger.owe("ops", 20)
    async with Receiver(otherwise=hang) as receiver:
        async with (
            webhook(target(receiver.url)) as sender,
            running(ledger, {"ops": sender}) as work,
        ):
            await until(lambda: len(receiver.requests) == CONCURRENT)
            await work.kill()
        first = {request.webhook_id: request.body for request in receiver.requests}
        assert set(ledger.states("ops")) == {"pending"}
        receiver.otherwise = status(200)
        async with (
            webhook(target(receiver.url)) as sender,
            running(ledger, {"ops": sender}),
        ):
            await delivered(ledger, "ops")
        again = {request.webhook_id: request.body for request in receiver.requests[CONCURRENT:]}
        assert sorted(again) == ids
        assert {webhook_id: again[webhook_id] for webhook_id in first} == first


async def test_a_paused_endpoint_gets_what_is_on_its_way_and_the_rest_after_the_pause(ledger: Ledger) -> None:
    clock, answered = HandClock(1_800_000_000.0), asyncio.Event()
    ids = ledger.owe("ops", 3 * CONCURRENT, at=clock.time)

    async def when_asked(request: Request, writer: asyncio.StreamWriter) -> None:
        await answered.wait()
        await status(200)(request, writer)

    async with (
        Receiver(otherwise=when_asked) as receiver,
        webhook(target(receiver.url), now=clock.now) as sender,
        running(ledger, {"ops": sender}, clock=clock) as work,
    ):
        await until(lambda: len(receiver.requests) == CONCURRENT)
        ends = int(clock.time * 1000) + 3_600_000
        ledger.transact(lambda c: c.execute("INSERT INTO pauses VALUES ('ops', 0, ?)", (ends,)))
        work.outbox.hold("ops")
        answered.set()
        await until(lambda: len(work.log.seen) == CONCURRENT and clock.parked)
        clock.turn_to(ends / 1000 - 0.001)
        await until(lambda: clock.parked)
        assert ledger.states("ops").count("delivered") == len(receiver.requests) == CONCURRENT
        clock.turn_to(ends / 1000)
        await delivered(ledger, "ops")
        assert sorted(receiver.ids) == ids
        assert {row["attempts"] for row in ledger.rows("SELECT attempts FROM deliveries")} == {1}


async def test_stopping_lets_running_attempts_end_and_starts_no_more(ledger: Ledger) -> None:
    release = asyncio.Event()

    async def late(request: object, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    ledger.owe("ops", 30)
    async with (
        Receiver(otherwise=late) as receiver,
        webhook(target(receiver.url)) as sender,
        running(ledger, {"ops": sender}) as work,
    ):
        await until(lambda: len(receiver.requests) == CONCURRENT)
        stopping = asyncio.create_task(work.outbox.stop(60.0))
        await asyncio.sleep(0)
        release.set()
        await stopping
        assert ledger.states("ops").count("delivered") == CONCURRENT
        assert len(receiver.requests) == CONCURRENT


async def test_stopping_is_bounded(ledger: Ledger) -> None:
    ledger.owe("ops")
    async with (
        Receiver(otherwise=hang) as receiver,
        webhook(target(receiver.url)) as sender,
        running(ledger, {"ops": sender}) as work,
    ):
        await until(lambda: len(receiver.requests) == 1)
        began = time.monotonic()
        await work.outbox.stop(0.2)
        assert time.monotonic() - began < 30  # the attempt has longer
    assert ledger.states("ops") == ["pending"]


async def test_after_a_410_nothing_more_is_sent_until_a_redelivery(ledger: Ledger) -> None:
    ledger.owe("ops", 100)
    ledger.owe("other", 1)
    async with (
        Receiver(otherwise=status(410)) as receiver,
        Receiver() as other,
        webhook(target(receiver.url)) as sender,
        webhook(target(other.url, "other")) as other_sender,
        running(ledger, {"ops": sender, "other": other_sender}) as work,
    ):
        await until(lambda: set(ledger.states("ops")) == {"dead"})
        # the first answer ends all; those that were on their way with it still come
        await until(lambda: [endpoint for endpoint, *_ in work.log.seen].count("ops") == CONCURRENT)
        assert len(receiver.requests) == CONCURRENT
        ledger.owe("ops")
        work.outbox.ring("ops")
        await until(lambda: ledger.states("ops") == ["dead"] * 101)
        assert len(receiver.requests) == CONCURRENT
        await delivered(ledger, "other")
        receiver.otherwise = status(200)
        await ledger.run(lambda connection: redeliver(connection, 1, int(time.time() * 1000)))
        work.outbox.ring("ops")
        await until(lambda: ledger.states("ops").count("delivered") == 1)
        await ledger.run(lambda connection: redeliver_since(connection, "ops", 1, int(time.time() * 1000)))
        work.outbox.ring("ops")
        await delivered(ledger, "ops")


async def test_what_is_rejected_for_good_is_dead_at_once(ledger: Ledger) -> None:
    class Never(Connectionless):
        def queue(self) -> Line:
            return Line()

        async def send(self, group: Group) -> Verdict:
            assert group[0].attempts == 0
            return Rejected(Reason.STATUS_4XX, 413)

    ledger.owe("ops")
    async with running(ledger, {"ops": Never()}) as work:
        await until(lambda: ledger.states("ops") == ["dead"] and len(work.log.seen) == 1)
        assert ledger.rows("SELECT outcome, status FROM attempts") == [
            {"outcome": "status_4xx", "status": 413}
        ]


async def test_a_ring_for_an_endpoint_without_sender_leaves_its_deliveries_waiting(ledger: Ledger) -> None:
    ledger.owe("removed")
    async with running(ledger, {}) as work:
        work.outbox.ring("removed")
        await until(lambda: ledger.commits >= 2)
    assert ledger.states("removed") == ["pending"]


async def test_a_defect_in_a_sender_ends_the_outbox_truthfully(ledger: Ledger) -> None:
    class Broken(Connectionless):
        def queue(self) -> Line:
            return Line()

        async def send(self, group: Group) -> Verdict:
            raise ZeroDivisionError(group[0].id)

    ledger.owe("ops")
    outbox = Outbox(
        LedgerStore(ledger.run),
        {"ops": Broken()},
        timing=Timing(now=time.time, draw=lambda: 0.0),
        observer=Log(),
    )
    with pytest.raises(BaseExceptionGroup) as caught:
        await asyncio.wait_for(outbox.run(), 30.0)
    assert caught.group_contains(ZeroDivisionError)
    assert ledger.states("ops") == ["pending"]


async def test_a_lane_that_waits_for_the_ledger_stands_still_until_it_has_it(ledger: Ledger) -> None:
    async with Receiver() as receiver, running(ledger, {"ops": webhook(target(receiver.url))}) as work:

        def still() -> float:
            work.outbox.ring("ops")  # which a lane that gets on hears
            return work.outbox.still_seconds()

        given_back = threading.Event()
        busy = asyncio.create_task(ledger.run(lambda _: given_back.wait(60)))
        await until(lambda: still() > 0.3)
        given_back.set()
        assert await busy
        await until(lambda: still() < 0.2)
