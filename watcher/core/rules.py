"""Which events become notices, for whom and how loudly.

A rung is a notice, not an event: the log does not depend on the rules. Reached is what is at or past a
rung; of the rungs that one observation reaches, a rule speaks at the highest, once. A rung that was
passed unseen (first known in a block) is told by the event that passed it. Corrections ask no rung:
they follow whoever was told. Coins that lay long and keys that were never used are told once, by the
first event of the transaction that spends them, whatever the rungs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from watcher.core.known import Flow
from watcher.core.rules_types import EVERY_TREASURY, FLOWS, Rule, Rung, Severity, Topic

if TYPE_CHECKING:
    from watcher.bitcoin.types import Txid
    from watcher.core.book import Climb
    from watcher.core.events import Event

Told: TypeAlias = Mapping[str, Mapping[str, Severity]]
"""By incident, the endpoints that were sent anything of it and the loudest they were sent.

By event too, where its transaction had another incident before: who was sent anything of that.
"""

_LOUDNESS: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}

_TYPES: Final = {
    Topic.CHAIN: ("chain.reorganized", "tx.moved"),
    Topic.WATCH: ("watch.", "config.changed"),
    Topic.SOURCE: ("source.failed", "source.recovered", "source.pinned"),
    Topic.DISAGREEMENT: ("source.disagreed", "source.agreed"),
    Topic.STALE: ("treasury.stale", "treasury.fresh"),
    Topic.BALANCE_BELOW: ("balance.crossed", "balance.restored"),
    Topic.BALANCE_ABOVE: ("balance.crossed", "balance.restored"),
    Topic.CLAIM_MISMATCH: ("claim.mismatched", "claim.matched"),
}
_SPENDS: Final = frozenset({*FLOWS, Topic.DORMANT, Topic.FIRST_SPEND}) - {Topic.INFLOW}


class Notice(msgspec.Struct, frozen=True):
    """An event on its way to an endpoint; (endpoint, webhook_id) is unique for ever."""

    endpoint: str
    webhook_id: str
    event: Event
    step: str
    severity: Severity
    rules: tuple[str, ...]
    wait_seconds: float = 0  # of a condition: it is sent if it still holds then
    expected: bool = False  # somebody announced it: told quietly, and marked


@dataclass(frozen=True, slots=True)
class Decision:
    """The notices, and the severity of each event (by id) whether or not anybody is told of it."""

    notices: tuple[Notice, ...]
    severities: Mapping[str, Severity]


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's rules, the figure that ends a ladder, and below what an inflow is dust.

    `endpoints` are all there are. `insiders` are endpoints that are told of every critical change of list
    or config, whatever the rules say: those of the config before the change. Of those who were told of an
    incident before, only the `reachable` can be told more; None: all.
    """

    rules: tuple[Rule, ...]
    finality: int
    dust_sats: Mapping[str, int]
    insiders: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    reachable: frozenset[str] | None = None


def _never(_event: Event) -> bool:
    return False


def decide(
    policy: Policy,
    events: Sequence[Event],
    climbs: Iterable[Climb],
    told: Told,
    recall: Callable[[int], Event],
    is_expected: Callable[[Event], bool] = _never,
) -> Decision:
    """The notices of one commit.

    `recall` gives an earlier event of the log by its sequence; `is_expected` says whether somebody has
    announced the outflow that an event tells of.
    """
    desk = _Desk(policy, told, is_expected)
    carriers = _carriers(policy, events, climbs, recall)
    for event in events:
        for carrier in carriers.pop(event.id, ()):
            desk.speak(carrier)
        if event.correction:
            desk.correct(event)
        desk.report(event)
        desk.warn(event)
        desk.address(event)
        desk.rate(event)
    for later in carriers.values():
        for carrier in later:
            desk.speak(carrier)
    return Decision(tuple(desk.notices.values()), desk.severities)


class _Carrier(msgspec.Struct, frozen=True):
    rule: Rule
    event: Event
    webhook_id: str
    step: str


def _carriers(
    policy: Policy, events: Sequence[Event], climbs: Iterable[Climb], recall: Callable[[int], Event]
) -> dict[str, list[_Carrier]]:
    """By event id, what each climb makes the rules say through it."""
    own = {(e.treasury, e.txid, e.type): e for e in events}
    ladders = [(rule, [level_of(rung, policy.finality) for rung in rule.at]) for rule in policy.rules]
    found: dict[str, list[_Carrier]] = {}
    for climb in climbs:
        entry = climb.entry
        for carrier in _spends(policy, own, climb):
            found.setdefault(carrier.event.id, []).append(carrier)
        for rule, levels in ladders:
            reached = [level for level in levels if climb.from_level < level <= entry.level]
            if not reached:
                continue
            top = max(reached)
            confirmed = own.get((entry.treasury, entry.txid, "tx.confirmed"))
            event: Event | None
            suffix = ""
            if top == 0:
                event = own.get((entry.treasury, entry.txid, "tx.seen")) or confirmed
            elif top >= policy.finality:
                event = own.get((entry.treasury, entry.txid, "tx.final"))
            elif top == 1:
                event = confirmed
            elif entry.confirmed_event is None:
                event = None
            else:
                event = confirmed or recall(entry.confirmed_event)
                suffix = f".{top}"
            if event is not None and _matches_flow(policy, rule, event):
                step = suffix[1:] or event.type.removeprefix("tx.")
                found.setdefault(event.id, []).append(_Carrier(rule, event, f"{event.id}{suffix}", step))
    return found


def _spends(
    policy: Policy, own: Mapping[tuple[str | None, Txid | None, str], Event], climb: Climb
) -> Iterator[_Carrier]:
    """What rules about old coins and unused keys say when a transaction is first known."""
    if climb.from_level >= 0:
        return
    key = (climb.entry.treasury, climb.entry.txid)
    event = own.get((*key, "tx.seen")) or own.get((*key, "tx.confirmed"))
    if event is None:
        return
    for rule in policy.rules:
        if _matches_spend(rule, event):
            yield _Carrier(rule, event, event.id, event.type.removeprefix("tx."))


def follows(event: Event) -> bool:
    """Whether it also goes to whoever was told of its incident before."""
    return event.correction or event.type == "incident.noted"


def level_of(rung: Rung, finality: int) -> int:
    """The confirmations at which a rung is reached; N at or above finality is final."""
    match rung:
        case "seen":
            return 0
        case "confirmed":
            return 1
        case "final":
            return finality
        case int():
            return min(rung, finality)
        case _:
            assert_never(rung)


class _Desk:
    """Merges what several rules say to the same endpoint about the same thing."""

    def __init__(self, policy: Policy, told: Told, is_expected: Callable[[Event], bool]) -> None:
        self._policy = policy
        self._is_expected = is_expected
        reachable = policy.reachable
        self._told = {
            incident: {e: s for e, s in endpoints.items() if reachable is None or e in reachable}
            for incident, endpoints in told.items()
        }
        self._types = [
            (rule, tuple(prefix for topic in rule.on for prefix in _TYPES.get(topic, ())))
            for rule in policy.rules
        ]
        self.notices: dict[tuple[str, str], Notice] = {}
        self.severities: dict[str, Severity] = {}

    def speak(self, carrier: _Carrier) -> None:
        rule = carrier.rule
        expected = self._is_expected(carrier.event)
        for endpoint in rule.send_to:
            self._add(
                Notice(
                    endpoint,
                    carrier.webhook_id,
                    carrier.event,
                    carrier.step,
                    Severity.INFO if expected else rule.severity,
                    (rule.name,),
                    expected=expected,
                )
            )

    def correct(self, event: Event) -> None:
        """To whoever was told of the incident, and to whom the rules name for this flow."""
        step = event.type.removeprefix("tx.")
        told = dict(self._told.get(event.incident or "", {}))
        for endpoint, severity in self._told.get(event.id, {}).items():
            told[endpoint] = _louder(told.get(endpoint, severity), severity)
        named = [rule for rule in self._policy.rules if _names(self._policy, rule, event)]
        loudest = max([*told.values(), *(r.severity for r in named)], key=_LOUDNESS.__getitem__, default=None)
        floor = Severity.CRITICAL if event.critical else Severity.INFO
        for endpoint, severity in told.items():
            self._add(Notice(endpoint, event.id, event, step, _louder(severity, floor), ()))
        for rule in named:
            for endpoint in rule.send_to:
                severity = _louder(rule.severity, floor)
                self._add(Notice(endpoint, event.id, event, step, severity, (rule.name,)))
        if loudest is not None or event.critical:
            self.severities[event.id] = _louder(loudest or floor, floor)

    def report(self, event: Event) -> None:
        """Events that no rung belongs to, by their type."""
        for rule in self._by_type(event):
            severity = _louder(rule.severity, Severity.CRITICAL if event.critical else Severity.INFO)
            for endpoint in rule.send_to:
                notice = Notice(endpoint, event.id, event, event.type, severity, (rule.name,))
                self._add(replace(notice, wait_seconds=rule.for_seconds if _begins(event) else 0))

    def warn(self, event: Event) -> None:
        """Who can change the config must not be able to do it unnoticed."""
        if event.critical and event.type.startswith(_TYPES[Topic.WATCH]):
            self.severities[event.id] = Severity.CRITICAL
            for endpoint in self._policy.insiders:
                self._add(Notice(endpoint, event.id, event, event.type, Severity.CRITICAL, ()))

    def address(self, event: Event) -> None:
        """Events that go, without a rule, to whom they concern."""
        told: dict[str, Severity] = {}
        if event.type.startswith("endpoint."):
            # the end as loudly as the beginning: an alert manager knows the two as one by that too
            told = dict.fromkeys(self._policy.endpoints, Severity.WARNING)
            told.pop(str(event.data["endpoint"]), None)
        elif event.type == "incident.noted":
            told = dict.fromkeys(self._told.get(event.incident or "", {}), Severity.INFO)
        elif event.type == "movement.expected":
            # it makes what these rules say quieter: now is the time to say it as loudly
            for rule in self._policy.rules:
                if _SPENDS.intersection(rule.on) and _of_treasury(rule, event):
                    for endpoint in rule.send_to:
                        told[endpoint] = _louder(told.get(endpoint, rule.severity), rule.severity)
        for endpoint, severity in told.items():
            self._add(Notice(endpoint, event.id, event, event.type, severity, ()))

    def rate(self, event: Event) -> None:
        """The loudest rule that the event matches, told or not; what was announced is no louder than info."""
        named = self._by_type(event) + [r for r in self._policy.rules if _names(self._policy, r, event)]
        if named and not event.correction and self._is_expected(event):
            self.severities[event.id] = Severity.INFO
            return
        for rule in named:
            old = self.severities.get(event.id, rule.severity)
            self.severities[event.id] = _louder(old, rule.severity)

    def _by_type(self, event: Event) -> list[Rule]:
        """The rules that listen to events of this type."""
        found = [r for r, types in self._types if event.type.startswith(types) and _of_treasury(r, event)]
        if event.type.startswith("balance."):
            return [rule for rule in found if event.data.get("rule") == rule.name]  # not another's limit
        return found

    def _add(self, notice: Notice) -> None:
        key = (notice.endpoint, notice.webhook_id)
        old = self.notices.get(key)
        if old is not None:
            names = tuple(dict.fromkeys([*old.rules, *notice.rules]))
            louder = _louder(old.severity, notice.severity)
            sooner = min(old.wait_seconds, notice.wait_seconds)
            notice = replace(old, severity=louder, rules=names, wait_seconds=sooner)
        self.notices[key] = notice
        incident = notice.event.incident
        if incident is not None:
            endpoints = self._told.setdefault(incident, {})
            endpoints[notice.endpoint] = _louder(
                endpoints.get(notice.endpoint, Severity.INFO), notice.severity
            )


def _louder(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=_LOUDNESS.__getitem__)


def _begins(event: Event) -> bool:
    """A condition that begins may be waited for; its end is told at once."""
    return event.type in {
        "source.failed", "source.disagreed", "treasury.stale", "balance.crossed", "claim.mismatched",
    }  # fmt: skip


def _of_treasury(rule: Rule, event: Event) -> bool:
    return EVERY_TREASURY in rule.treasuries or event.treasury is None or event.treasury in rule.treasuries


def _matches_flow(policy: Policy, rule: Rule, event: Event) -> bool:
    """A transaction's event that the rule's flows, treasuries and amount take in; dust never is."""
    if event.flow is None or event.treasury is None or not _of_treasury(rule, event):
        return False
    if event.type == "tx.moved" or str(event.flow) not in rule.on:
        return False
    moved = event.data["moved_sats"]
    assert isinstance(moved, int)
    if event.flow is Flow.INFLOW and moved < policy.dust_sats.get(event.treasury, 0):
        return False
    return moved >= rule.min_sats


def _matches_spend(rule: Rule, event: Event) -> bool:
    """A spend of coins that lay long, or with a key never used before; its size is a matter of the rule."""
    if event.flow not in {Flow.OUTFLOW, Flow.INTERNAL} or not _of_treasury(rule, event):
        return False
    days, moved = event.data["oldest_coin_days"], event.data["moved_sats"]
    assert isinstance(moved, int)
    dormant = (
        Topic.DORMANT in rule.on
        and isinstance(days, int)
        and rule.dormant_days is not None
        and days >= rule.dormant_days
    )
    # a log older than the field does not say
    exposed = Topic.FIRST_SPEND in rule.on and event.data.get("first_spend") is True
    return (dormant or exposed) and moved >= rule.min_sats


def _names(policy: Policy, rule: Rule, event: Event) -> bool:
    """Whether the rule is about the transaction of this event, at whatever rung."""
    if _matches_flow(policy, rule, event):
        return True
    return event.type not in {"tx.moved", "tx.final"} and _matches_spend(rule, event)
