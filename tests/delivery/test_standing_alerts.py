"""What holds is told again to an Alertmanager, which forgets; what ended is never told again."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.delivery.rig import HandClock, Ledger, Receiver, status, target, until
from tests.delivery.samples import texts
from tests.delivery.test_outbox_lanes import running
from tests.delivery.test_real_alertmanager import SOON, alertmanager
from tests.ledger.test_announced import rule
from watcher.bitcoin.networks import Network
from watcher.core.known import Terms
from watcher.core.rules import Policy
from watcher.core.rules_types import Topic
from watcher.delivery.alertmanager import PATH, AlertmanagerSender
from watcher.delivery.http import Poster
from watcher.delivery.outbox import REMIND_SECONDS
from watcher.ledger.commit import Settings
from watcher.ledger.conditions import Condition, set_condition
from watcher.ledger.pauses import pause

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from tests.delivery.test_outbox_lanes import Running

STALE = Condition("stale", "alpha", "treasury.stale", "treasury.fresh", treasury="alpha")
SETTINGS = Settings(
    Terms(Network.REGTEST, "one", 6, 0), Policy((rule("quiet", "pager", Topic.STALE),), 6, {}), ""
)


class Watched:
    """A ledger that tells of conditions, an outbox for Alertmanagers, and a clock to turn."""

    def __init__(self, ledger: Ledger, urls: Sequence[str]) -> None:
        # behind, so that what is turned forward does not overtake an Alertmanager's own clock
        self.clock = HandClock(time.time() - 10 * REMIND_SECONDS)
        self._ledger = ledger
        self._urls = urls
        self._stack = AsyncExitStack()
        self._work: Running

    async def __aenter__(self) -> Self:
        now = self.clock.now
        posters = [Poster(target(url + PATH), now=now, seconds=60.0) for url in self._urls]
        sender = await self._stack.enter_async_context(AlertmanagerSender(posters, texts("en"), now=now))
        work = running(self._ledger, {"pager": sender}, clock=self.clock)
        self._work = await self._stack.enter_async_context(work)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def commit(self, *, stale: bool) -> None:
        """The end or the beginning is committed, and the outbox rung."""

        def work(connection: sqlite3.Connection) -> None:
            at_ms = int(self.clock.time * 1000)
            set_condition(connection, SETTINGS, STALE, {"reason": "too_old"}, at_ms, holds=stale)

        await self._ledger.run(work)
        self._work.outbox.ring("pager")

    async def tell(self, *, stale: bool) -> None:
        """Until the end or the beginning is committed and taken."""
        await self.commit(stale=stale)
        await self.all_is_taken()

    async def all_is_taken(self) -> None:
        """Until nothing is owed."""
        await until(lambda: set(self._ledger.states("pager")) == {"delivered"}, 60)

    async def is_refused(self, receiver: Receiver, *, stale: bool) -> None:
        """The end or the beginning is committed and answered by an error, for once."""
        receiver.otherwise = status(500)
        before = len(receiver.requests)
        await self.commit(stale=stale)
        await until(lambda: len(receiver.requests) > before and self.clock.waiting == 2, 60)
        receiver.otherwise = status(200)
        receiver.requests.clear()

    async def pause(self, seconds: int) -> None:
        """Spare the endpoint."""
        at_ms = int(self.clock.time * 1000)
        until_ms = at_ms + seconds * 1000
        await self._ledger.run(
            lambda c: pause(c, SETTINGS, "pager", until_ms, reason="r", by="w", at_ms=at_ms)
        )

    async def a_minute_passes(self) -> None:
        """Until whoever waits for the next look has had it and waits again."""
        await until(lambda: self.clock.waiting == 2, 60)
        self.clock.turn_to(self.clock.time + REMIND_SECONDS)
        await until(lambda: self.clock.waiting == 2, 60)


def told(receiver: Receiver) -> list[bool]:
    """Of each alert that came whether it fires; there is only one."""
    bodies: list[list[dict[str, Any]]] = [json.loads(request.body) for request in receiver.requests]
    alerts = [alert for posted in bodies for alert in posted]
    assert len({json.dumps(alert["labels"], sort_keys=True) for alert in alerts}) <= 1
    return ["startsAt" in alert for alert in alerts]


async def test_what_holds_is_told_every_minute_to_all_and_its_end_once(ledger_of_a_log: Ledger) -> None:
    async with (
        Receiver() as one,
        Receiver() as two,
        Watched(ledger_of_a_log, [f"http://127.0.0.1:{r.port}" for r in (one, two)]) as watched,
    ):
        await watched.tell(stale=True)
        for _ in range(3):
            await watched.a_minute_passes()
        await watched.tell(stale=False)
        for _ in range(3):
            await watched.a_minute_passes()
        assert told(one) == told(two) == [True] * 4 + [False]
        await watched.tell(stale=True)
        await watched.a_minute_passes()
        assert told(one) == told(two) == [True] * 4 + [False] + [True] * 2


async def test_what_was_told_before_a_restart_is_told_again_after_it_and_not_while_it_is_spared(
    ledger_of_a_log: Ledger,
) -> None:
    async with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        async with Watched(ledger_of_a_log, [url]) as watched:
            await watched.tell(stale=True)
        async with Watched(ledger_of_a_log, [url]) as watched:
            await until(lambda: told(receiver) == [True, True])
            await watched.pause(100)
            await watched.a_minute_passes()
            assert told(receiver) == [True, True]
            await watched.a_minute_passes()
            assert told(receiver) == [True, True, True]


async def test_a_beginning_that_was_refused_does_not_fire_after_its_end(ledger_of_a_log: Ledger) -> None:
    async with Receiver() as one, Watched(ledger_of_a_log, [f"http://127.0.0.1:{one.port}"]) as watched:
        await watched.is_refused(one, stale=True)
        watched.clock.turn_to(watched.clock.time + 2)  # it is tried again after five seconds
        await watched.commit(stale=False)
        await until(lambda: told(one) == [False])
        await watched.a_minute_passes()
        await watched.all_is_taken()
        assert told(one) == [False, False]


async def test_an_end_that_was_refused_does_not_resolve_what_holds_anew(ledger_of_a_log: Ledger) -> None:
    async with Receiver() as one, Watched(ledger_of_a_log, [f"http://127.0.0.1:{one.port}"]) as watched:
        await watched.tell(stale=True)
        await watched.is_refused(one, stale=False)
        await watched.commit(stale=True)
        await until(lambda: told(one) == [True])
        await watched.a_minute_passes()
        await watched.all_is_taken()
        assert set(told(one)) == {True}


@pytest.mark.real
async def test_an_alertmanager_that_starts_anew_learns_what_holds_and_resolves_it_once(
    ledger_of_a_log: Ledger, tmp_path: Path
) -> None:
    async with (
        alertmanager(tmp_path / "one") as one,
        alertmanager(tmp_path / "two") as two,
        Watched(ledger_of_a_log, [one.url, two.url]) as watched,
    ):
        await watched.tell(stale=True)
        await until(lambda: bool(one.notified and two.notified), SOON)
        await one.has_noted()  # else it would tell it again: what is noted is all that it keeps
        await one.restart()
        assert await one.alerts() == []
        await watched.a_minute_passes()
        for each in (one, two):
            (alert,) = await each.alerts()
            assert alert["labels"]["alertname"] == "TreasuryStale"
        await watched.tell(stale=False)
        await until(lambda: min(len(one.notified), len(two.notified)) > 1, SOON)
        for each in (one, two):
            assert await each.alerts() == []
        # each has told all there was, once: the one that restarted has kept what it had told
        assert one.notified == two.notified == [("firing", "TreasuryStale"), ("resolved", "TreasuryStale")]
