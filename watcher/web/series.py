"""The metrics by name: what kind each is, its labels and its one sentence. The names are fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Series:
    """One metric family. `name` is as scraped, with `_total` and `_info`."""

    kind: Literal["gauge", "counter", "info", "histogram"]
    name: str
    labels: tuple[str, ...]
    help: str


_SERIES: Final = (
    Series(
        "info", "watcher_build_info", ("version", "network", "sqlite"), "Which program this is, and on what."
    ),
    # treasuries
    Series(
        "info",
        "watcher_treasury_info",
        ("treasury", "title", "attribution"),
        "A treasury of the config, and who says that its addresses are whose.",
    ),
    Series(
        "gauge",
        "watcher_treasury_balance_satoshis",
        ("treasury", "position"),
        "The plain sum of the log's deltas; no series before the first complete reading.",
    ),
    Series(
        "gauge",
        "watcher_treasury_fresh",
        ("treasury",),
        "1 while the quorum answered for every script within stale_after, else 0.",
    ),
    Series(
        "gauge",
        "watcher_treasury_complete_height",
        ("treasury",),
        "The block up to which the balance is complete.",
    ),
    Series(
        "gauge",
        "watcher_treasury_complete_timestamp_seconds",
        ("treasury",),
        "When the quorum last answered for every script.",
    ),
    Series(
        "gauge",
        "watcher_treasury_last_change_timestamp_seconds",
        ("treasury",),
        "When the balance was last seen to change.",
    ),
    Series("gauge", "watcher_treasury_scripts", ("treasury",), "Scripts on the watch list."),
    Series(
        "gauge",
        "watcher_treasury_unsupported_scripts",
        ("treasury",),
        "Scripts whose history no source will give (too large): not in the balance.",
    ),
    Series(
        "gauge",
        "watcher_treasury_baseline_ratio",
        ("treasury",),
        "How much of the first reading is done, from 0 to 1.",
    ),
    Series(
        "gauge",
        "watcher_treasury_unproven_transactions",
        ("treasury",),
        "Transactions of the past that the quorum has told and whose proof is still to come.",
    ),
    Series(
        "gauge",
        "watcher_treasury_transactions",
        ("treasury", "flow"),
        "Transactions in the present reading; corrections lower it.",
    ),
    Series(
        "gauge",
        "watcher_treasury_flow_satoshis",
        ("treasury", "flow"),
        "Satoshis moved by the transactions of the present reading; corrections lower it.",
    ),
    Series(
        "info",
        "watcher_treasury_claim_info",
        ("treasury", "claim", "by", "role", "says", "as_of"),
        "What somebody said that the treasury holds.",
    ),
    Series(
        "gauge",
        "watcher_treasury_claim_satoshis",
        ("treasury", "claim"),
        "What is claimed.",
    ),
    Series(
        "gauge",
        "watcher_treasury_claim_observed_satoshis",
        ("treasury", "claim"),
        "Of the totals of the claim's day the nearest to it, or the present one; no series while unknown.",
    ),
    Series(
        "gauge",
        "watcher_treasury_claim_holds",
        ("treasury", "claim"),
        "1 if the claim is borne out, 0 if it is contradicted; no series where it cannot be judged.",
    ),
    Series(
        "gauge",
        "watcher_condition_active",
        ("condition", "treasury"),
        "1 while it is so for the treasury (an empty label: for the watcher itself), else 0.",
    ),
    Series(
        "gauge",
        "watcher_address_balance_satoshis",
        ("treasury", "address"),
        'Confirmed balance of an address; only with show_addresses = "everywhere", the first 1,000.',
    ),
    Series(
        "gauge",
        "watcher_address_balances_omitted",
        (),
        "Addresses for which there is no series, since there are more than 1,000.",
    ),
    Series("gauge", "watcher_bitcoin_price", ("currency",), "The last known price of a bitcoin."),
    Series("gauge", "watcher_bitcoin_price_timestamp_seconds", ("currency",), "When that was the price."),
    # the log and the chain
    Series(
        "counter",
        "watcher_events_total",
        ("type", "treasury", "flow", "severity"),
        "Events of the log, by the highest severity of the rules they match; baselines do not count.",
    ),
    Series("gauge", "watcher_tip_height", (), "Height of the last block of our chain."),
    Series("gauge", "watcher_tip_timestamp_seconds", (), "The time its miner gave that block."),
    Series("counter", "watcher_reorganizations_total", (), "Reorganisations of our chain that were told."),
    Series(
        "gauge",
        "watcher_clock_skew_seconds",
        (),
        "Our clock less the sources' median, or less the median of the last eleven blocks' times as they"
        " came; no series while neither is known.",
    ),
    # sources
    Series(
        "info",
        "watcher_source_info",
        ("source", "kind", "operator"),
        "A source of the config, and who runs it.",
    ),
    Series(
        "gauge", "watcher_quorum_sources", ("state",), "Independent sources: asked for, present and fresh."
    ),
    Series("gauge", "watcher_source_up", ("source",), "1 while the source is connected and answers, else 0."),
    Series("gauge", "watcher_source_tip_height", ("source",), "The tip the source last told."),
    Series(
        "gauge",
        "watcher_source_last_success_timestamp_seconds",
        ("source",),
        "When the source last gave an answer.",
    ),
    Series("gauge", "watcher_source_subscriptions", ("source",), "Scripts the source was asked to watch."),
    Series(
        "gauge",
        "watcher_source_detection_bound_seconds",
        ("source",),
        "The longest it can take to hear of a change through this source alone.",
    ),
    Series(
        "gauge",
        "watcher_source_certificate_not_after_timestamp_seconds",
        ("source",),
        "When the source's certificate ends.",
    ),
    Series(
        "counter",
        "watcher_source_requests_total",
        ("source", "outcome"),
        "Questions asked, by what came back.",
    ),
    Series("histogram", "watcher_source_request_seconds", ("source",), "From question to whole answer."),
    Series(
        "counter", "watcher_source_strikes_total", ("source", "reason"), "Answers no honest server gives."
    ),
    # the outbox
    Series("gauge", "watcher_outbox_pending", ("endpoint",), "Deliveries not yet accepted."),
    Series("gauge", "watcher_outbox_dead", ("endpoint",), "Deliveries given up, kept for redelivery."),
    Series(
        "gauge",
        "watcher_outbox_oldest_due_timestamp_seconds",
        ("endpoint",),
        "When the oldest pending delivery was or is due; no series while nothing is pending.",
    ),
    Series(
        "gauge",
        "watcher_canary_last_success_timestamp_seconds",
        ("endpoint",),
        "When the endpoint last accepted a canary.",
    ),
    Series(
        "counter",
        "watcher_deliveries_total",
        ("endpoint", "outcome"),
        "Attempts to deliver, by their outcome.",
    ),
    Series("histogram", "watcher_detection_seconds", (), "From a source's word to the commit in the ledger."),
    Series(
        "histogram", "watcher_delivery_seconds", (), "From the commit in the ledger to the endpoint's 2xx."
    ),
    # the daemon itself
    Series("gauge", "watcher_ledger_writable", (), "1 while the ledger takes commits, else 0."),
    Series("gauge", "watcher_ledger_bytes", (), "Size of the ledger's files."),
    Series("gauge", "watcher_state_free_bytes", (), "Free space where the state directory is."),
    Series(
        "gauge",
        "watcher_backup_last_success_timestamp_seconds",
        (),
        "When the ledger was last backed up.",
    ),
    Series(
        "gauge",
        "watcher_heartbeat_last_success_timestamp_seconds",
        (),
        "When the heartbeat's URL last took a ping.",
    ),
    Series("gauge", "watcher_config_hash", (), "48 bits of the digest of the config in force."),
    Series(
        "gauge", "watcher_config_last_reload_successful", (), "1 when the last reload was accepted, else 0."
    ),
    Series(
        "gauge",
        "watcher_config_last_reload_success_timestamp_seconds",
        (),
        "When a config was last accepted; the start counts.",
    ),
    Series("counter", "watcher_job_failures_total", ("job",), "Periodic jobs that failed or were missed."),
    Series("gauge", "watcher_event_loop_lag_seconds", (), "How late the event loop last woke a timer."),
)

SERIES: Final = {series.name: series for series in _SERIES}
