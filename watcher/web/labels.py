"""Every label value of the metrics that is not a name from the config: the closed lists.

The README repeats this list; dashboards and alert rules may rely on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watcher.core.events import CORRECTIONS, RUNG_EVENTS
from watcher.core.known import Flow
from watcher.core.rules_types import EVERY_TREASURY, FLOWS, Severity, Topic
from watcher.delivery.verdict import DELIVERED, GONE, Reason
from watcher.ledger.figures import EventLabels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from watcher.core.rules_types import Rule

POSITIONS: Final = ("confirmed", "pending")
FLOW_VALUES: Final = ("", *(str(flow) for flow in Flow))
SEVERITIES: Final = ("none", *(str(severity) for severity in Severity))
CONDITIONS: Final = (
    *("source", "disagreement", "stale", "balance_below", "balance_above", "claim", "endpoint"),
    "collision",
)
QUORUM_STATES: Final = ("required", "fresh", "independent")
REQUEST_OUTCOMES: Final = ("ok", "error", "timeout")
DELIVERY_OUTCOMES: Final = (DELIVERED, GONE, *(str(reason) for reason in Reason))

STRIKE_REASONS: Final = (
    "branch",
    "certificate",
    "double_answer",
    "header",
    "headers",
    "history",
    "line_too_long",
    "merkle",
    "notification",
    "omitted",
    "phantom",
    "protocol",
    "signature",
    "status",
    "transaction",
    "unknown_id",
    "unsolicited",
    "version",
)

# the events each topic of a rule listens to that are about no transaction
_TOPIC_TYPES: Final[Mapping[Topic, tuple[str, ...]]] = {
    Topic.CHAIN: ("chain.reorganized",),
    Topic.WATCH: ("watch.added", "watch.removed", "watch.collided", "watch.separated", "config.changed"),
    Topic.SOURCE: ("source.failed", "source.recovered", "source.pinned"),
    Topic.DISAGREEMENT: ("source.disagreed", "source.agreed"),
    Topic.STALE: ("treasury.stale", "treasury.fresh"),
    Topic.BALANCE_BELOW: ("balance.crossed", "balance.restored"),
    Topic.BALANCE_ABOVE: ("balance.crossed", "balance.restored"),
    Topic.CLAIM_MISMATCH: ("claim.mismatched", "claim.matched"),
}
# told of the treasury they concern; the others of none
_OF_A_TREASURY: Final = ("watch.", "treasury.", "balance.", "claim.")


def expected_events(rules: Iterable[Rule], treasuries: Sequence[str]) -> frozenset[EventLabels]:
    """The counters that rules name: at zero from the start, so that `increase()` sees the first event."""
    return frozenset(labels for rule in rules for labels in _expected(rule, treasuries))


def _expected(rule: Rule, treasuries: Sequence[str]) -> Iterator[EventLabels]:
    severity = str(rule.severity)
    meant = [t for t in treasuries if EVERY_TREASURY in rule.treasuries or t in rule.treasuries]
    for topic in rule.on:
        if topic is Topic.CHAIN:
            for flow in Flow:
                yield from (EventLabels("tx.moved", name, str(flow), severity) for name in meant)
        if topic in FLOWS:
            for event_type in RUNG_EVENTS | CORRECTIONS:
                yield from (EventLabels(event_type, name, str(topic), severity) for name in meant)
        if topic in {Topic.DORMANT, Topic.FIRST_SPEND}:
            for event_type in {"tx.seen", "tx.confirmed"} | CORRECTIONS:
                for flow in (Flow.OUTFLOW, Flow.INTERNAL):
                    yield from (EventLabels(event_type, name, str(flow), severity) for name in meant)
        for event_type in _TOPIC_TYPES.get(topic, ()):
            named = meant if event_type.startswith(_OF_A_TREASURY) else [""]
            yield from (EventLabels(event_type, name, "", severity) for name in named)
