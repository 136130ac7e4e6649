"""Who must be told what, from the log alone: CONTRACT's "Who gets what" and "Corrections", written anew.

Nothing here is shared with the rules' code but the words of the config. The oracle goes through the log
commit by commit, with the rules and endpoints of then and the chain up to the tip, and says what each
endpoint must have been sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from watcher.core.events import Event
    from watcher.core.rules import Policy
    from watcher.core.rules_types import Rule, Rung

LOUDNESS: Final = ("info", "warning", "critical")
FALLS: Final = frozenset({"tx.unconfirmed", "tx.replaced", "tx.dropped", "tx.conflicted", "tx.reclassified"})


class Key(NamedTuple):
    """A transaction in a treasury."""

    treasury: str
    txid: str


class Said(NamedTuple):
    """What a rule says at a rung: under which id, by which event."""

    rule: Rule
    webhook_id: str
    event: Event


@dataclass
class Story:
    """How far a transaction has climbed since it last fell, by which event it was confirmed, and where."""

    level: int  # -1: not known yet
    confirmed: Event | None = None
    block: tuple[int, str] | None = None


@dataclass
class Oracle:
    """`owed` has, by endpoint and webhook id, how loudly; `waiting` is what was unconfirmed at the start."""

    finality: int
    waiting: frozenset[str]
    owed: dict[tuple[str, str], int] = field(default_factory=dict)
    corrections: set[str] = field(default_factory=set)
    _told: dict[str, dict[str, int]] = field(default_factory=dict)  # by incident and endpoint
    _fallen: set[str] = field(default_factory=set)  # incidents in which something was taken back
    _stories: dict[Key, Story] = field(default_factory=dict)

    def commit(self, policy: Policy, events: Sequence[Event], chain: Sequence[str]) -> None:
        """These were told at once; `chain` has the hash of each block up to the tip."""
        rungs = list(self._rungs(policy, events, chain))
        for event in events:
            for said in rungs:
                if said.event is event:
                    self._to_all(said.rule, said.webhook_id, event)
            self._correct(policy, event)
            for rule in policy.rules:
                if _is_about(rule, event):
                    self._to_all(rule, event.id, event)
        for said in rungs:
            if not any(said.event is event for event in events):
                self._to_all(said.rule, said.webhook_id, said.event)

    def _correct(self, policy: Policy, event: Event) -> None:
        incident = event.incident or ""
        follows = event.type in {"tx.seen", "tx.confirmed"} and incident in self._fallen
        if event.type not in FALLS and not follows:
            return
        self._fallen.add(incident)
        self.corrections.add(event.id)
        for endpoint, level in list(self._told.get(incident, {}).items()):
            if endpoint in policy.endpoints:
                self._owe(endpoint, event.id, event, level)
        for rule in policy.rules:
            if _takes_in(policy, rule, event) or _is_first_spend(rule, event):
                self._to_all(rule, event.id, event)

    def _rungs(self, policy: Policy, events: Sequence[Event], chain: Sequence[str]) -> Iterator[Said]:
        """What rungs that are passed now make the rules say: each rule the highest of its own."""
        before = self._follow(events)
        own = {(Key(e.treasury or "", e.txid or ""), e.type): e for e in events}
        for key, story in self._stories.items():
            low, high = before.get(key, story.level), self._level(story, chain)
            if (key, "tx.final") in own:
                high = self.finality
            story.level = high
            if low >= high:
                continue
            first = own.get((key, "tx.seen")) or own.get((key, "tx.confirmed"))
            for rule in policy.rules:
                if low < 0 and first is not None and _is_first_spend(rule, first):
                    yield Said(rule, first.id, first)
                top = max((n for n in self._levels(rule.at) if low < n <= high), default=None)
                if top is None:
                    continue
                event = own.get((key, "tx.final")) if top == self.finality else story.confirmed
                if top == 0:
                    event = first
                elif top == 1:
                    event = own.get((key, "tx.confirmed"))
                if event is not None and _takes_in(policy, rule, event):
                    yield Said(rule, f"{event.id}.{top}" if 1 < top < self.finality else event.id, event)

    def _follow(self, events: Iterable[Event]) -> dict[Key, int]:
        """Take the events in; from where each transaction of theirs climbs."""
        before: dict[Key, int] = {}
        for event in events:
            if event.txid is None or event.treasury is None:
                continue
            key = Key(event.treasury, event.txid)
            story = self._stories.setdefault(key, Story(0 if event.txid in self.waiting else -1))
            if event.type in FALLS:
                story.level, story.confirmed, story.block = 0, None, None
                before[key] = 0
            before.setdefault(key, story.level)
            if event.type == "tx.seen":
                story.level = max(story.level, 0)
            if event.type in {"tx.confirmed", "tx.moved"}:
                block: Any = event.data["block"]
                story.block = (block["height"], block["hash"])
            if event.type == "tx.confirmed":
                story.confirmed = event
        return before

    def _level(self, story: Story, chain: Sequence[str]) -> int:
        """Short of final, which has an event of its own; a block that left the chain lifts nobody."""
        if story.block is None:
            return story.level
        height, block = story.block
        if height >= len(chain) or chain[height] != block:
            return story.level
        return max(story.level, min(len(chain) - height, self.finality - 1))

    def _levels(self, rungs: Iterable[Rung]) -> Iterator[int]:
        for rung in rungs:
            match rung:
                case "seen":
                    yield 0
                case "confirmed":
                    yield 1
                case "final":
                    yield self.finality
                case number:
                    yield min(number, self.finality)

    def _to_all(self, rule: Rule, webhook_id: str, event: Event) -> None:
        for endpoint in rule.send_to:
            self._owe(endpoint, webhook_id, event, LOUDNESS.index(str(rule.severity)))

    def _owe(self, endpoint: str, webhook_id: str, event: Event, level: int) -> None:
        key = (endpoint, webhook_id)
        if event.critical:  # it reverses what was final
            level = LOUDNESS.index("critical")
        self.owed[key] = max(level, self.owed.get(key, 0))
        if event.incident is not None:
            told = self._told.setdefault(event.incident, {})
            told[endpoint] = max(level, told.get(endpoint, 0))


def _watches(rule: Rule, treasury: str | None) -> bool:
    return treasury is None or bool({"*", treasury}.intersection(rule.treasuries))


def _moved(event: Event) -> int:
    moved = event.data["moved_sats"]
    assert isinstance(moved, int)
    return moved


def _takes_in(policy: Policy, rule: Rule, event: Event) -> bool:
    """A movement of a flow, a treasury and a size that the rule names; dust is told to nobody."""
    flow, treasury = str(event.flow), event.treasury
    if treasury is None or flow not in map(str, rule.on) or not _watches(rule, treasury):
        return False
    dust = policy.dust_sats.get(treasury, 0) if flow == "inflow" else 0
    return _moved(event) >= max(rule.min_sats, dust)


def _is_first_spend(rule: Rule, event: Event) -> bool:
    return (
        "first_spend" in map(str, rule.on)
        and event.data.get("first_spend") is True
        and str(event.flow) in {"outflow", "internal"}
        and _watches(rule, event.treasury)
        and _moved(event) >= rule.min_sats
    )


def _is_about(rule: Rule, event: Event) -> bool:
    """Events that have no rung."""
    topics = set(map(str, rule.on))
    chain = "chain" in topics and event.type in {"chain.reorganized", "tx.moved"}
    watch = "watch" in topics and event.type.startswith("watch.")
    return (chain or watch) and _watches(rule, event.treasury)
