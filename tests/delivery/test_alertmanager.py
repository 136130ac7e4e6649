"""Alerts: what they are told by, how long they hold, and that every Alertmanager takes them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.rig import Receiver, Request, hang, status, target, until
from tests.delivery.samples import OURS, body, in_block, texts, transaction
from tests.delivery.test_conformance import group
from watcher.delivery.alertmanager import CONDITION_HOLDS, EVENT_HOLDS, AlertmanagerSender, joint_verdict
from watcher.delivery.http import Poster
from watcher.delivery.texts.message import MAX_TITLE
from watcher.delivery.verdict import Delivered, Gone, Reason, Retry

if TYPE_CHECKING:
    from watcher.delivery.verdict import Verdict

RUNBOOKS = Path(__file__).parents[2] / "deploy" / "runbooks"
NOW = 1_800_000_000.0


async def alerts(*bodies: str) -> list[dict[str, Any]]:
    async with Receiver() as receiver:
        assert await send([receiver], *bodies) == Delivered(200)
        received: list[dict[str, Any]] = json.loads(receiver.requests[0].body)
        return received


def poster(receiver: Receiver) -> Poster:
    return Poster(target(f"http://127.0.0.1:{receiver.port}"), now=lambda: NOW, seconds=60.0)


async def send(receivers: list[Receiver], *bodies: str) -> Verdict:
    posters = [poster(receiver) for receiver in receivers]
    async with AlertmanagerSender(posters, texts("en"), now=lambda: NOW) as sender:
        return await sender.send(group(*bodies))


def holds(alert: dict[str, Any]) -> timedelta:
    return timedelta(seconds=datetime.fromisoformat(alert["endsAt"]).timestamp() - NOW)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (transaction("tx.seen", "inflow"), "TreasuryInflow"),
        (transaction("tx.confirmed", "outflow"), "TreasuryOutflow"),
        (transaction("tx.final", "internal"), "TreasuryInternal"),
        (transaction("tx.replaced", "outflow"), "TreasuryCorrection"),
        (transaction("tx.reclassified", "internal"), "TreasuryCorrection"),
        (body("balance.crossed", condition="balance_below"), "TreasuryBalanceBelow"),
        (body("balance.restored", condition="balance_above"), "TreasuryBalanceAbove"),
        (body("claim.mismatched"), "TreasuryClaimMismatch"),
        (body("treasury.stale"), "TreasuryStale"),
        (body("treasury.fresh"), "TreasuryStale"),
        (body("source.failed"), "WatcherSource"),
        (body("source.pinned"), "WatcherSource"),
        (body("source.disagreed"), "WatcherDisagreement"),
        (body("source.agreed"), "WatcherDisagreement"),
        (body("endpoint.failed"), "WatcherEndpoint"),
        (body("watcher.test"), "WatcherEndpoint"),
        (body("watch.removed"), "WatcherWatchList"),
        (body("config.changed"), "WatcherWatchList"),
    ],
)
async def test_each_type_has_its_alertname(told: str, name: str) -> None:
    (alert,) = await alerts(told)
    assert alert["labels"]["alertname"] == name
    linked = alert["annotations"].get("runbook_url")
    assert linked is None or (RUNBOOKS / linked.rpartition("/")[2]).is_file()


async def test_an_event_holds_for_an_hour_from_its_arrival() -> None:
    (alert,) = await alerts(transaction("tx.seen", "outflow"))
    assert alert["labels"] == {
        "alertname": "TreasuryOutflow",
        "network": "mainnet",
        "treasury": "el-salvador",
        "severity": "critical",
        "incident": "inc_9f86d081884c7d659a2feaa0c55ad015",
    }
    assert alert["startsAt"] == "2026-11-24T10:00:00.123Z"
    assert holds(alert) == EVENT_HOLDS == timedelta(hours=1)
    assert alert["annotations"]["summary"].startswith("[CRITICAL] Outflow of 0.05000000 BTC")
    assert len(alert["annotations"]["summary"]) <= MAX_TITLE
    assert alert["generatorURL"].startswith("https://watch.example/incidents/inc_")


async def test_a_condition_holds_until_it_is_resolved_under_the_same_labels() -> None:
    firing, resolved = await alerts(
        body("treasury.stale", condition="stale"), body("treasury.fresh", condition="stale")
    )
    assert firing["labels"] == resolved["labels"]
    assert holds(firing) == CONDITION_HOLDS
    assert holds(resolved) == timedelta(0)
    assert "startsAt" not in resolved


async def test_a_canary_wakes_nobody() -> None:
    (alert,) = await alerts(body("watcher.canary", **OURS))
    assert holds(alert) == timedelta(0)


async def test_two_daemons_tell_the_same_alert_and_two_things_are_two_alerts() -> None:
    def removed(log: str, total: int) -> str:
        fields = {"id": f"evt_{log}", "log": log, "sequence": len(log), "sources": [log], "rules": [log]}
        return body("watch.removed", incident=None, url=None, balance_sats={"confirmed": total}, **fields)

    one, other, later = await alerts(removed("a", 5), removed("bb", 5), removed("a", 4))
    assert one["labels"] == other["labels"]
    assert one["labels"]["incident"].startswith("sub_")
    assert later["labels"] != one["labels"]


async def test_steps_of_one_story_are_one_alert() -> None:
    seen, confirmed = await alerts(
        transaction("tx.seen", "outflow"), transaction("tx.confirmed", "outflow", **in_block())
    )
    assert seen["labels"] == confirmed["labels"]


async def test_it_is_delivered_when_all_have_taken_it() -> None:
    told = transaction("tx.seen", "outflow")
    async with Receiver() as good, Receiver(script=[status(503, "retry-after: 9")]) as bad:
        assert await send([good, bad], told) == Retry(Reason.OVERLOADED, 9.0, 503)
        assert await send([good, bad], told) == Delivered(200)
        assert len(good.requests) == len(bad.requests) == 2
        assert good.requests[0].body == good.requests[1].body


async def test_one_that_hangs_does_not_keep_it_from_the_other() -> None:
    async with Receiver() as good, Receiver() as bad:

        async def when_the_other_has_it(request: Request, writer: asyncio.StreamWriter) -> None:
            await until(lambda: bool(good.requests))
            await status(500)(request, writer)

        bad.otherwise = when_the_other_has_it
        verdict = await send([bad, good], transaction("tx.seen", "outflow"))
        assert verdict == Retry(Reason.STATUS_5XX, None, 500)
        assert len(good.requests) == 1


async def test_a_reminder_that_hangs_at_one_does_not_keep_an_outflow_from_the_other() -> None:
    async def standing() -> list[str]:
        return [body("treasury.stale")]

    async with (
        Receiver() as good,
        Receiver(otherwise=hang) as bad,
        AlertmanagerSender([poster(bad), poster(good)], texts("en"), now=lambda: NOW) as sender,
    ):
        reminder = asyncio.create_task(sender.remind(standing))
        await until(lambda: bool(bad.requests and good.requests))
        outflow = asyncio.create_task(sender.send(group(transaction("tx.seen", "outflow"))))
        await until(lambda: len(good.requests) == 2)
        assert not reminder.done()
        assert not outflow.done()
        for task in (reminder, outflow):
            task.cancel()
        await asyncio.gather(reminder, outflow, return_exceptions=True)
    told = [json.loads(request.body)[0]["labels"]["alertname"] for request in good.requests]
    assert told == ["TreasuryStale", "TreasuryOutflow"]


def test_the_joint_verdict() -> None:
    retry, longer = Retry(Reason.TIMEOUT), Retry(Reason.THROTTLED, 5.0, 429)
    assert joint_verdict([Delivered(200), Delivered(200)]) == Delivered(200)
    assert joint_verdict([Gone(410), Gone(410)]) == Gone(410)
    assert joint_verdict([Gone(410), Delivered(200)]) == Retry(Reason.STATUS_4XX, None, 410)
    assert joint_verdict([retry, longer, Delivered(200), Gone(410)]) == longer
