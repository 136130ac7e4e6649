#!/usr/bin/env python3
"""Writes the dashboards in `dashboards/`; `--check` only tells, by its exit code, whether they are current.

Figures in bitcoin are those of `../prometheus/rules/recording.yml`. Where two daemons watch one treasury, the
dashboard of treasuries shows one figure for both; the one of operations shows each daemon.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.variants import Dataquery

Queries: TypeAlias = Mapping[str, str]  # PromQL by how its series, or its column, is called
Panels: TypeAlias = list[stat.Panel | timeseries.Panel | table.Panel]

FOLDER: Final = Path(__file__).with_name("dashboards")
SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

T: Final = 'treasury=~"$treasury"'
D: Final = 'job="treasury-watcher", instance=~"$instance"'
BALANCE: Final = "treasury_position:watcher_treasury_balance_bitcoins:max"
BTC: Final = "suffix: BTC"


def main(arguments: list[str]) -> int:
    """Write both dashboards, or compare them; the exit code."""
    current = True
    for name, built in {"treasuries": treasuries(), "operations": operations()}.items():
        path = FOLDER / f"{name}.json"
        text = json.dumps(built.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
        if "--check" not in arguments:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            sys.stderr.write(f"{path} is not current: run deploy/grafana/generate.py\n")
            current = False
    return 0 if current else 1


# What each treasury holds, how sure that is, and what moved


def treasuries() -> dashboard.Dashboard:
    """The dashboard for those whose coins they are."""
    variable = _variable("treasury", "Treasury", "label_values(watcher_treasury_info, treasury)")
    rows = {
        "What they hold": _holdings(),
        "Over time": _over_time(),
        "Claims and value": _claims(),
        "How complete": _completeness(),
    }
    return _dashboard("treasury-watcher-treasuries", "Treasuries", variable, rows).time("now-30d", "now")


def _holdings() -> Panels:
    fresh = f"max by (treasury) (watcher_treasury_fresh{{{T}}})"
    change = _age(f"watcher_treasury_last_change_timestamp_seconds{{{T}}}", "treasury")
    each = "{{treasury}}"
    return [
        _stat("Confirmed", {each: f'{BALANCE}{{{T}, position="confirmed"}}'}, BTC).decimals(8),
        _stat("Pending", {each: f'{BALANCE}{{{T}, position="pending"}}'}, BTC).decimals(8),
        _flag("Up to date", {each: fresh}, bad="not fresh", good="fresh"),
        _stat("Since the last change", {each: change}, "s"),
    ]


def _over_time() -> Panels:
    # what was backfilled from years before has no recorded series
    raw = (
        f'max by (treasury, position) (watcher_treasury_balance_satoshis{{{T}, position="confirmed"}}) / 1e8'
    )
    balance = f'{BALANCE}{{{T}, position="confirmed"}} or {raw}'
    change = f"treasury:watcher_treasury_change_bitcoins:delta1d{{{T}}}"
    moved = f"treasury_flow:watcher_treasury_flow_bitcoins:max{{{T}}}"
    count = f"max by (treasury, flow) (watcher_treasury_transactions{{{T}}})"
    events = f"sum by (treasury, type, flow, severity) (increase(watcher_events_total{{{T}}}[24h])) > 0"
    by_flow = "{{treasury}} {{flow}}"
    return [
        _stepped(_chart("Confirmed balance", {"{{treasury}}": balance}, BTC).span(16)),
        _stepped(_chart("Change within a day", {"{{treasury}}": change}, BTC)),
        _stepped(_chart("Moved in all, by flow", {by_flow: moved}, BTC)),
        _stepped(_chart("Transactions, by flow", {by_flow: count}, "short")),
        _table("Events of the last 24 hours", {"events": events}).span(8),
    ]


def _claims() -> Panels:
    claims = {
        "": f"max by (treasury, claim, by, says, as_of) (watcher_treasury_claim_info{{{T}}})",
        "claimed, BTC": f"treasury_claim:watcher_treasury_claim_bitcoins:max{{{T}}}",
        "observed, BTC": f"treasury_claim:watcher_treasury_claim_observed_bitcoins:max{{{T}}}",
        "holds": f"max by (treasury, claim) (watcher_treasury_claim_holds{{{T}}})",
    }
    value = f"treasury_currency:watcher_treasury_value:max{{{T}}}"
    price = _age("watcher_bitcoin_price_timestamp_seconds", "currency")
    return [
        _table("Claims, and what the chain shows", claims).span(14),
        _stat("Value", {"{{treasury}}, {{currency}}": value}, "short").span(5),
        _stat("Age of the price", {"{{currency}}": price}, "s").span(5),
    ]


def _completeness() -> Panels:
    columns = {
        "": f"max by (treasury, title, attribution) (watcher_treasury_info{{{T}}})",
        "scripts": f"max by (treasury) (watcher_treasury_scripts{{{T}}})",
        "unsupported scripts": f"max by (treasury) (watcher_treasury_unsupported_scripts{{{T}}})",
        "first reading": f"max by (treasury) (watcher_treasury_baseline_ratio{{{T}}})",
        "complete at block": f"max by (treasury) (watcher_treasury_complete_height{{{T}}})",
        "seconds since": _age(f"watcher_treasury_complete_timestamp_seconds{{{T}}}", "treasury"),
    }
    holds = f"max by (treasury, condition) (watcher_condition_active{{{T}}})"
    return [
        _table("Treasuries", columns).span(16),
        _stepped(_chart("Conditions that hold", {"{{treasury}} {{condition}}": holds}, "short")),
    ]


# How the daemons, their sources and their outboxes are doing


def operations() -> dashboard.Dashboard:
    """The dashboard for those who run it."""
    variable = _variable("instance", "Daemon", 'label_values(up{job="treasury-watcher"}, instance)')
    rows = {
        "Now": _now(),
        "Sources": _sources(),
        "From a source's word to a receiver's answer": _pipe(),
        "The daemon": _daemon(),
    }
    return _dashboard("treasury-watcher-operations", "Operations", variable, rows).time("now-6h", "now")


def _now() -> Panels:
    firing = 'max by (alertname, severity, instance) (ALERTS{alertstate="firing", alertname=~"Watch.+"})'
    reload = f"watcher_config_last_reload_successful{{{D}}}"
    each = "{{instance}}"
    return [
        _flag("Daemon", {each: f"up{{{D}}}"}, bad="down", good="up").span(3),
        _flag("Ledger", {each: f"watcher_ledger_writable{{{D}}}"}, bad="not writable", good="writable").span(
            3
        ),
        _flag("Config", {each: reload}, bad="refused", good="accepted").span(3),
        _stat("Sources", {"{{instance}} {{state}}": f"watcher_quorum_sources{{{D}}}"}, "short").span(5),
        _stat("Block", {each: f"watcher_tip_height{{{D}}}"}, "none").span(3),
        _stat("Age of the block", {each: f"time() - watcher_tip_timestamp_seconds{{{D}}}"}, "s").span(3),
        _stat("Reorganisations", {each: f"watcher_reorganizations_total{{{D}}}"}, "short").span(4),
        _table("Alerts that fire", {"": firing}).span(12),
        _table("Versions", {"": f"watcher_build_info{{{D}}}"}).span(12),
    ]


def _sources() -> Panels:
    by = "instance, source"
    ends = f"min by ({by}) (watcher_source_certificate_not_after_timestamp_seconds{{{D}}})"
    columns = {
        "": f"max by ({by}, kind, operator) (watcher_source_info{{{D}}})",
        "up": f"max by ({by}) (watcher_source_up{{{D}}})",
        "block": f"max by ({by}) (watcher_source_tip_height{{{D}}})",
        "seconds since an answer": _age(f"watcher_source_last_success_timestamp_seconds{{{D}}}", by),
        "subscriptions": f"max by ({by}) (watcher_source_subscriptions{{{D}}})",
        "detection bound, s": f"max by ({by}) (watcher_source_detection_bound_seconds{{{D}}})",
        "certificate, days": f"({ends} - time()) / 86400",
    }
    asked = f"sum by (source, outcome) (rate(watcher_source_requests_total{{{D}}}[$__rate_interval]))"
    struck = f"sum by (source) (increase(watcher_source_strikes_total{{{D}}}[24h]))"
    # no counter before the first strike
    strikes = f"{struck} or max by (source) (watcher_source_up{{{D}}}) * 0"
    return [
        _table("Sources", columns),
        _chart("Questions a second", {"{{source}} {{outcome}}": asked}, "reqps"),
        _chart("Time to an answer, 95 %", _slowest("watcher_source_request_seconds", "source"), "s"),
        _chart("Strikes within a day", {"{{source}}": strikes}, "short"),
    ]


def _pipe() -> Panels:
    outcomes = f"sum by (endpoint, outcome) (increase(watcher_deliveries_total{{{D}}}[$__rate_interval]))"
    outbox = {
        "{{endpoint}} pending": f"max by (endpoint) (watcher_outbox_pending{{{D}}})",
        "{{endpoint}} given up": f"max by (endpoint) (watcher_outbox_dead{{{D}}})",
    }
    late = f"clamp_min(time() - watcher_outbox_oldest_due_timestamp_seconds{{{D}}}, 0)"
    # no timestamp while nothing is pending
    overdue = f"{late} or watcher_outbox_pending{{{D}}} * 0"
    canary = _age(f"watcher_canary_last_success_timestamp_seconds{{{D}}}", "endpoint")
    return [
        _chart("Source's word to commit, 95 %", _slowest("watcher_detection_seconds", "instance"), "s"),
        _chart("Commit to the receiver's 2xx, 95 %", _slowest("watcher_delivery_seconds", "instance"), "s"),
        _chart("Attempts, by outcome", {"{{endpoint}} {{outcome}}": outcomes}, "short"),
        _chart("Outbox", outbox, "short"),
        _chart("Overdue", {"{{instance}} {{endpoint}}": overdue}, "s"),
        _chart("Since the last canary", {"{{endpoint}}": canary}, "s"),
    ]


def _daemon() -> Panels:
    each = "{{instance}}"
    space = {
        "{{instance}} ledger": f"watcher_ledger_bytes{{{D}}}",
        "{{instance}} free": f"watcher_state_free_bytes{{{D}}}",
    }
    ages = {
        "{{instance}} heartbeat": f"time() - watcher_heartbeat_last_success_timestamp_seconds{{{D}}}",
        "{{instance}} backup": f"time() - watcher_backup_last_success_timestamp_seconds{{{D}}}",
        "{{instance}} config": f"time() - watcher_config_last_reload_success_timestamp_seconds{{{D}}}",
    }
    failed = f"sum by (instance, exported_job) (increase(watcher_job_failures_total{{{D}}}[1h]))"
    busy = f"rate(process_cpu_seconds_total{{{D}}}[$__rate_interval])"
    descriptors = f"process_open_fds{{{D}}} / process_max_fds{{{D}}}"
    return [
        _chart("Ledger and disk", space, "bytes"),
        _chart("Memory", {each: f"process_resident_memory_bytes{{{D}}}"}, "bytes"),
        _chart("Processor", {each: busy}, "percentunit"),
        _chart("Event loop, late by", {each: f"watcher_event_loop_lag_seconds{{{D}}}"}, "s"),
        _chart("Descriptors in use", {each: descriptors}, "percentunit"),
        _chart("Jobs that failed within an hour", {"{{instance}} {{exported_job}}": failed}, "short"),
        _chart("Since the last good heartbeat, backup, config", ages, "s").span(12),
        _chart("Clock, before the sources' by", {each: f"watcher_clock_skew_seconds{{{D}}}"}, "s").span(12),
    ]


# What they are made of


def _age(series: str, by: str) -> str:
    """Seconds since the latest of this timestamp, among daemons that share these labels."""
    return f"time() - max by ({by}) ({series})"


def _slowest(histogram: str, by: str) -> Queries:
    """The 95 % quantile over an hour, since at night there may be one event in many minutes."""
    buckets = f"sum by ({by}, le) (rate({histogram}_bucket{{{D}}}[1h]))"
    return {f"{{{{{by}}}}}": f"histogram_quantile(0.95, {buckets})"}


def _dashboard(
    uid: str, title: str, variable: dashboard.QueryVariable, rows: Mapping[str, Panels]
) -> dashboard.Dashboard:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    link = dashboard.DashboardLink("Treasury Watcher").type(model.DashboardLinkType.DASHBOARDS)
    built = dashboard.Dashboard(f"Treasury Watcher: {title}").uid(uid).tags(["treasury-watcher"])
    built = built.readonly().refresh("30s").timezone("utc").variables([source, variable])
    built = built.link(link.tags(["treasury-watcher"]).keep_time(keep_time=True))
    number = 0
    for name, panels in rows.items():
        number += 1
        built = built.with_row(dashboard.Row(name).id(number))
        for panel in panels:
            number += 1
            built = built.with_panel(panel.id(number).datasource(SOURCE))
    return built


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    variable = variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable = variable.sort(model.VariableSort.ALPHABETICAL_ASC)
    return variable.multi(multi=True).include_all(include_all=True).all_value(".*")


def _target(ref: str, expr: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).datasource(SOURCE).expr(expr)


def _chart(title: str, queries: Queries, unit: str) -> timeseries.Panel:
    targets: list[Builder[Dataquery]] = [
        _target(ref, expr).range().legend_format(legend)
        for ref, (legend, expr) in zip("ABCDEFGH", queries.items(), strict=False)
    ]
    legend = common.VizLegendOptions().show_legend(show_legend=True)
    legend = legend.display_mode(common_model.LegendDisplayMode.LIST)
    panel = timeseries.Panel().title(title).unit(unit).span(8).height(8).fill_opacity(10).targets(targets)
    return panel.legend(legend.placement(common_model.LegendPlacement.BOTTOM)).tooltip(
        common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    )


def _stepped(chart: timeseries.Panel) -> timeseries.Panel:
    """A balance holds until it changes: no slopes between."""
    return chart.line_interpolation(common_model.LineInterpolation.STEP_AFTER)


def _stat(title: str, queries: Queries, unit: str) -> stat.Panel:
    ((legend, expr),) = queries.items()
    color = dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color("blue")
    panel = stat.Panel().title(title).unit(unit).span(6).height(5).color_scheme(color)
    panel = panel.targets([_target("A", expr).range().legend_format(legend)])
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.text_mode(common_model.BigValueTextMode.VALUE_AND_NAME)
    return panel.graph_mode(common_model.BigValueGraphMode.NONE)


def _flag(title: str, queries: Queries, *, bad: str, good: str) -> stat.Panel:
    """0 and 1 in words and colours."""
    words = {
        "0": model.ValueMappingResult(text=bad, color="red"),
        "1": model.ValueMappingResult(text=good, color="green"),
    }
    return _stat(title, queries, "none").mappings([model.ValueMap(options=words)])


def _table(title: str, queries: Queries) -> table.Panel:
    """Present values in a row for each set of labels; a column without a name only brings its labels."""
    refs = dict(zip("ABCDEFGH", queries.items(), strict=False))
    targets: list[Builder[Dataquery]] = [
        _target(ref, expr).instant().format(PromQueryFormat.TABLE) for ref, (_, expr) in refs.items()
    ]
    columns = {f"Value #{ref}" if len(refs) > 1 else "Value": name for ref, (name, _) in refs.items()}
    organize = {
        "excludeByName": dict.fromkeys(
            ["Time", "__name__", "job", *(c for c, name in columns.items() if not name)], True
        ),
        "renameByName": {column: name for column, name in columns.items() if name},
    }
    panel = table.Panel().title(title).span(24).height(8).targets(targets)
    for transformer, options in (("merge", {}), ("organize", organize)):
        panel = panel.with_transformation(model.DataTransformerConfig(id_val=transformer, options=options))
    return panel


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
