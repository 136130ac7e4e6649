"""The files of `deploy/` in a real Prometheus and Alertmanager around a real daemon."""

from __future__ import annotations

import json
import math
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from tests.deploy.monitored import (
    DAY,
    DEPLOY,
    DEPOSIT,
    YESTERDAY,
    Monitored,
    dashboards,
    expressions,
    monitored,
    scraped,
)
from tests.stack import loopback
from tests.stack.processes import until
from watcher.web.series import SERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack import fetch

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("monitored")]

# In the list of metrics, and not told by this daemon: without a value nothing can be drawn.
SILENT: Final = frozenset({"watcher_clock_skew_seconds"})
METRIC: Final = re.compile(r"\bwatcher_[a-z_]+")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(
    stack_cache: fetch.Parts, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Monitored]:
    async with monitored(tmp_path_factory.mktemp("monitored")) as started:
        yield started


RECORDED: Final = dict(
    re.findall(
        r"record: (\S+)\n +expr: (.*?)(?=\n\n|\Z)",
        (DEPLOY / "prometheus/rules/recording.yml").read_text(),
        re.DOTALL,
    )
)


def comes_from_the_daemon(expr: str) -> bool:
    """Whether every metric that a query comes down to is one the daemon tells."""
    for _ in range(2):  # what is recorded of what is recorded
        for name, definition in RECORDED.items():
            expr = expr.replace(name, definition)
    return {name.removesuffix("_bucket") for name in METRIC.findall(expr)} <= SERIES.keys() - SILENT


async def test_every_query_of_the_dashboards_returns_a_number(everything: Monitored) -> None:
    empty, surprising = [], []
    for name, dashboard in dashboards().items():
        for panel, written in expressions(dashboard).items():
            # from the start on, however long that took
            expr = re.sub(r"\$(treasury|instance)\b", ".*", written).replace("$__rate_interval", "1h")

            async def number(expr: str = expr) -> bool:
                values = [float(sample["value"][1]) for sample in await everything.prometheus.query(expr)]
                return any(not math.isnan(value) for value in values)

            if not comes_from_the_daemon(written):
                if await number():
                    surprising.append(f"{name}, {panel}: told already, take it out of SILENT")
                continue
            try:
                await until(number, within=30, what=panel)
            except TimeoutError:
                empty.append(f"{name}, {panel}: {expr}")
    assert not empty + surprising, "\n".join(empty + surprising)


async def test_every_variable_of_the_dashboards_has_values(everything: Monitored) -> None:
    for dashboard in dashboards().values():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                assert match is not None
                samples = await everything.prometheus.query(match[1])
                assert all(match[2] in sample["metric"] for sample in samples)
                assert samples


async def test_the_years_before_the_first_scrape_show(everything: Monitored) -> None:
    charts = expressions(dashboards()["treasuries"])
    balance = charts["Confirmed balance A"].replace("$treasury", "alpha")
    at_night = await everything.prometheus.query(balance, at=time.time() - DAY / 2)
    assert [float(sample["value"][1]) for sample in at_night] == [YESTERDAY / 1e8]
    now = await everything.prometheus.query(balance)
    assert [float(sample["value"][1]) for sample in now] == [DEPOSIT / 1e8]
    change = await everything.prometheus.query(charts["Change within a day A"].replace("$treasury", "alpha"))
    assert [float(sample["value"][1]) for sample in change] == [(DEPOSIT - YESTERDAY) / 1e8]


async def test_every_rule_evaluates_and_every_alert_says_what_it_must(everything: Monitored) -> None:
    rules: list[dict[str, Any]] = []

    async def all_evaluated() -> bool:
        groups = (await everything.prometheus.get("/api/v1/rules"))["groups"]
        rules[:] = [rule for group in groups for rule in group["rules"]]
        return "unknown" not in {rule["health"] for rule in rules}

    await until(all_evaluated, within=60, what="the first evaluation of each group")
    assert not [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")]
    assert {rule["health"] for rule in rules} == {"ok"}
    alerts = [rule for rule in rules if rule["type"] == "alerting"]
    assert len(alerts) > 15
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"].endswith(f"/deploy/runbooks/{alert['name']}.md")
        assert not re.search(r"error|<no value>", json.dumps(alert["alerts"]))


async def test_a_daemon_that_works_fires_the_watchdog_alone(everything: Monitored) -> None:
    await scraped(everything.prometheus)
    firing: set[str] = set()

    async def alone() -> bool:
        nonlocal firing
        samples = await everything.prometheus.query('ALERTS{alertstate="firing"}')
        firing = {sample["metric"]["alertname"] for sample in samples}
        return firing == {"Watchdog"}

    # with their clocks sped up, a second without an answer suffices to fire: on a busy machine it passes
    with suppress(TimeoutError):
        await until(alone, within=60, what="the watchdog alone")
    assert firing == {"Watchdog"}


async def test_the_dead_mans_switch_is_fed_again_and_again(everything: Monitored) -> None:
    fed = everything.inbox.received.setdefault("dead-mans-switch", [])

    async def thrice() -> bool:
        return len(fed) >= 3

    await until(thrice, within=120, what="the third sign of life")
    assert {(alert["labels"]["alertname"], alert["status"]) for alert in fed} == {("Watchdog", "firing")}


async def test_an_outflow_reaches_the_treasurers(everything: Monitored) -> None:
    chain = everything.setting.regtest.chain
    address = everything.setting.treasuries["alpha"][0]
    await chain.spend(address, await chain.stranger(), 10_000_000)
    alert = await everything.inbox.alert("treasurers", "firing", alertname="WatcherOutflow")
    assert alert["labels"]["treasury"] == "alpha"
    assert alert["annotations"]["summary"] == "Coins leave alpha."


async def test_what_follows_from_something_else_is_held_back_and_coins_never_are(
    everything: Monitored,
) -> None:
    sent = [
        {"alertname": "WatcherDown", "instance": "x"},
        {"alertname": "WatcherTreasuryStale", "instance": "x", "treasury": "t"},
        {"alertname": "WatcherDeadLetters", "instance": "y", "endpoint": "ops"},
        {"alertname": "WatcherNoQuorum", "instance": "y"},
        {"alertname": "WatcherTipStale", "instance": "y"},
        {"alertname": "WatcherOutflow", "treasury": "t"},
        {"alertname": "TreasuryStale", "treasury": "u", "incident": "inc_1"},
        {"alertname": "WatcherTreasuryStale", "instance": "z", "treasury": "u"},
        {"alertname": "TreasuryOutflow", "treasury": "t", "incident": "inc_2"},
    ]
    url = f"{everything.alertmanager}/api/v2/alerts"
    body = json.dumps([{"labels": {**labels, "test": "inhibition"}} for labels in sent]).encode()
    reply = await loopback.request(
        url, method="POST", body=body, headers={"Content-Type": "application/json"}
    )
    assert reply.status == 200, reply

    async def held_back() -> set[tuple[str, str]]:
        alerts = (await loopback.request(f"{url}?filter=test=inhibition")).json()
        return (
            set()
            if len(alerts) != len(sent)
            else {
                (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
                for alert in alerts
                if alert["status"]["state"] == "suppressed"
            }
        )

    expected = {("WatcherTreasuryStale", "x"), ("WatcherTipStale", "y"), ("WatcherTreasuryStale", "z")}

    async def settled() -> bool:
        return await held_back() == expected

    await until(settled, within=120, what=f"held back are {expected}")


async def test_a_lost_source_and_a_dead_daemon_reach_the_operators_and_are_resolved(
    everything: Monitored,
) -> None:
    setting, at = everything.setting, {"instance": everything.setting.daemon.url.removeprefix("http://")}

    async def told(status: str, name: str) -> dict[str, Any]:
        return await everything.inbox.alert("operators", status, alertname=name, **at)

    await setting.regtest.electrumx.stop()
    lost = await told("firing", "WatcherNoQuorum")
    assert lost["annotations"]["summary"].endswith("has 0 fresh sources, fewer than its quorum.")
    await setting.regtest.electrumx.start()
    await told("resolved", "WatcherNoQuorum")
    setting.daemon.kill()
    await told("firing", "WatcherDown")
    await setting.daemon.start()
    await told("resolved", "WatcherDown")
