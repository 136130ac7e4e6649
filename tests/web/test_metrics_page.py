"""The scrape: the contract's names and labels, truthful on failure, at most a second old."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.web.small_ledger import NOON_MS
from watcher.core.rules_types import Rule, Severity, Topic
from watcher.ledger.figures import EventLabels, figures
from watcher.web.distribution import BOUNDS, Durations
from watcher.web.labels import expected_events
from watcher.web.series import SERIES

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

Samples = dict[str, float]


def samples_of(text: str) -> Samples:
    """`name{label=value,…}` to value."""
    return {
        f"{s.name}{{{','.join(f'{k}={v}' for k, v in sorted(s.labels.items()))}}}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


async def scrape(http: aiohttp.ClientSession, url: str | None) -> Samples:
    async with http.get(f"{url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return samples_of(await response.text())


async def test_the_balances_and_the_log_are_scraped_under_their_names(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        found = await scrape(http, bound.url)
    expected = {
        "watcher_treasury_balance_satoshis{position=confirmed,treasury=alpha}": 520_000_000,
        "watcher_treasury_balance_satoshis{position=pending,treasury=alpha}": -20_000_000,
        "watcher_treasury_fresh{treasury=alpha}": 1,
        "watcher_treasury_fresh{treasury=beta}": 0,
        "watcher_treasury_complete_height{treasury=alpha}": 102,
        "watcher_treasury_complete_timestamp_seconds{treasury=alpha}": NOON_MS / 1000,
        "watcher_treasury_scripts{treasury=beta}": 4,
        "watcher_treasury_baseline_ratio{treasury=beta}": 0.25,
        "watcher_treasury_baseline_ratio{treasury=alpha}": 1,
        "watcher_treasury_transactions{flow=inflow,treasury=alpha}": 2,
        "watcher_treasury_transactions{flow=outflow,treasury=alpha}": 1,
        "watcher_treasury_flow_satoshis{flow=inflow,treasury=alpha}": 320_001_000,
        "watcher_treasury_flow_satoshis{flow=internal,treasury=alpha}": 7_000,
        "watcher_events_total{flow=inflow,severity=warning,treasury=alpha,type=tx.seen}": 1,
        "watcher_events_total{flow=outflow,severity=critical,treasury=alpha,type=tx.seen}": 1,
        "watcher_tip_height{}": 102,
        "watcher_reorganizations_total{}": 0,
        "watcher_quorum_sources{state=required}": 2,
        "watcher_source_up{source=home}": 1,
        "watcher_source_requests_total{outcome=timeout,source=home}": 0,
        "watcher_outbox_pending{endpoint=ops}": 1,
        "watcher_outbox_dead{endpoint=ops}": 1,
        "watcher_outbox_oldest_due_timestamp_seconds{endpoint=ops}": NOON_MS / 1000 + 0.005,
        "watcher_deliveries_total{endpoint=ops,outcome=delivered}": 0,
        "watcher_delivery_seconds_bucket{le=0.005}": 0,
        "watcher_delivery_seconds_bucket{le=600.0}": 0,
        "watcher_ledger_writable{}": 1,
        "watcher_config_hash{}": 0xABABABABABAB,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert any(name.startswith("process_open_fds") for name in found)
    assert any(name.startswith("python_info") for name in found)
    assert not any(math.isnan(value) for value in found.values())
    assert not any("_created" in name for name in found)
    assert not any("watch.baselined" in name for name in found)


async def test_before_the_first_reading_there_is_no_balance(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        found = await scrape(http, bound.url)
    told = {name.partition("{")[0] for name in found if "treasury=beta" in name}
    assert told == {
        "watcher_treasury_info",
        "watcher_treasury_fresh",
        "watcher_treasury_scripts",
        "watcher_treasury_unsupported_scripts",
        "watcher_treasury_baseline_ratio",
        "watcher_treasury_unproven_transactions",
    }


async def test_a_treasury_without_watches_has_neither_balance_nor_freshness(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.treasury("empty", confirmed=0, pending=0, baselined=True)
    async with serve() as bound:
        found = await scrape(http, bound.url)
    assert "watcher_treasury_scripts{treasury=empty}" in found
    assert "watcher_treasury_fresh{treasury=empty}" not in found
    assert "watcher_treasury_balance_satoshis{position=confirmed,treasury=empty}" not in found


async def test_every_family_has_its_help_and_every_name_is_in_the_one_list(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound, http.get(f"{bound.url}/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    ours = {f.name: f for f in families if f.name.startswith("watcher_")}
    names = {name.removesuffix("_total") for name in SERIES}
    assert set(ours) == names
    assert all(family.documentation for family in ours.values())
    for name, series in SERIES.items():
        for sample in ours[name.removesuffix("_total")].samples:
            assert set(sample.labels) - {"le"} == set(series.labels), name


async def test_openmetrics_is_spoken_to_who_asks_for_it(serve: Open, http: aiohttp.ClientSession) -> None:
    accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3"
    async with (
        serve() as bound,
        http.get(f"{bound.url}/metrics", headers={"Accept": accept}) as response,
    ):
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        text = await response.text()
    assert text.endswith("# EOF\n")
    values = {(s.name, s.labels.get("title")): s.value for f in parse_openmetrics(text) for s in f.samples}
    # quotes and a line break in a title survive
    assert values["watcher_treasury_info", 'The "alpha" treasury\n'] == 1


async def test_a_hundred_scrapes_at_once_render_once(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    now = 0.0
    async with serve(monotonic=lambda: now) as bound:
        scraped = await asyncio.gather(*(scrape(http, bound.url) for _ in range(100)))
        assert len({tuple(sorted(found.items())) for found in scraped}) == daemon.snapshots == 1
        now = 0.9
        await scrape(http, bound.url)
        assert daemon.snapshots == 1
        now = 1.0
        await scrape(http, bound.url)
        assert daemon.snapshots == 2


async def test_the_metrics_stay_while_the_ledger_cannot_be_written(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    daemon.changes = {"writable": False}
    async with serve() as bound:
        found = await scrape(http, bound.url)
    assert found["watcher_ledger_writable{}"] == 0
    assert found["watcher_treasury_balance_satoshis{position=confirmed,treasury=alpha}"] == 520_000_000


def test_figures_kept_up_equal_figures_counted_anew(ledger: SmallLedger) -> None:
    before = figures(ledger.connection, None)
    ledger.event("tx.seen", "alpha", flow="inflow", severity="warning")
    ledger.event("chain.reorganized", None)
    ledger.event("watch.baselined", "beta")
    ledger.tx("alpha", "b1", None, "inflow", 5)
    kept = figures(ledger.connection, before)
    assert kept == figures(ledger.connection, None)
    assert kept.events[EventLabels("tx.seen", "alpha", "inflow", "warning")] == 2
    assert kept.events[EventLabels("chain.reorganized", "", "", "none")] == 1
    assert figures(ledger.connection, kept).flows is kept.flows


def test_what_rules_name_stands_at_zero() -> None:
    rule = Rule(
        name="r",
        on=(Topic.OUTFLOW, Topic.CHAIN, Topic.STALE),
        treasuries=("alpha",),
        min_sats=0,
        at=("seen",),
        severity=Severity.CRITICAL,
        send_to=(),
        dormant_days=None,
        btc_sats=None,
        for_seconds=0,
    )
    labels = expected_events([rule], ["alpha", "beta"])
    assert EventLabels("tx.seen", "alpha", "outflow", "critical") in labels
    assert EventLabels("tx.confirmed", "alpha", "outflow", "critical") in labels
    assert EventLabels("tx.dropped", "alpha", "outflow", "critical") in labels
    assert EventLabels("chain.reorganized", "", "", "critical") in labels
    assert EventLabels("treasury.stale", "alpha", "", "critical") in labels
    assert {label.treasury for label in labels} == {"alpha", ""}
    assert {label.flow for label in labels if label.type != "tx.moved"} == {"outflow", ""}
    assert {(label.treasury, label.flow) for label in labels if label.type == "tx.moved"} == {
        ("alpha", "inflow"),
        ("alpha", "outflow"),
        ("alpha", "internal"),
    }


def test_durations_fall_into_the_first_bucket_that_holds_them() -> None:
    durations = Durations()
    for seconds in (0.005, 0.0051, 600, 601, -3):
        durations.observe(seconds)
    read = durations.read()
    by_bound = dict(zip((*BOUNDS, "more"), read.counts, strict=True))
    assert (by_bound[0.005], by_bound[0.01], by_bound[600], by_bound["more"]) == (2, 3, 4, 5)
    assert math.isclose(read.seconds, 1201.0101)
