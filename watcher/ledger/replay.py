"""What rules would have sent over the real history: the log folded anew, without a trace.

The log does not depend on rules, so it can be judged by others. What it does not hold is guessed
plainly: a numeric rung is told when the transaction became final, since the blocks between are no events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from watcher.bitcoin.types import Txid
from watcher.core.book import Climb
from watcher.core.events import CORRECTIONS, Event
from watcher.core.known import Entry, Flow, State
from watcher.core.rules import Notice, decide, level_of
from watcher.ledger.expectations import Expectations

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from watcher.core.rules import Policy
    from watcher.core.rules_types import Severity

_PAGE: Final = 1_000
_LOUDNESS: Final = ("info", "warning", "critical")


def replay(connection: sqlite3.Connection, policy: Policy) -> Iterator[Notice]:
    """Every notice, in the order of the log; those that were to wait (`for`) where they would be sent."""
    fold = _Fold(connection, policy)
    for _, commit in groupby(_rows(connection), key=lambda row: row["at_ms"]):
        yield from fold.take(list(commit))
    yield from fold.rest()


def _rows(connection: sqlite3.Connection) -> Iterator[sqlite3.Row]:
    """The log, by the page."""
    after = 0
    while rows := connection.execute(
        "SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, _PAGE)
    ).fetchall():
        yield from rows
        after = rows[-1]["sequence"]


@dataclass
class _Fold:
    """The state that the real ledger would have had of the notices, had these been the rules."""

    connection: sqlite3.Connection
    policy: Policy
    entries: dict[tuple[str, Txid], Entry] = field(default_factory=dict)
    told: dict[str, dict[str, Severity]] = field(default_factory=dict)
    corrected: set[str] = field(default_factory=set)
    sent: set[tuple[str, str]] = field(default_factory=set)
    waiting: list[Notice] = field(default_factory=list)

    def take(self, rows: list[sqlite3.Row]) -> Iterator[Notice]:
        """What is sent because of the events of one commit, and what was waiting for its time."""
        yield from self._due(rows[0]["at_ms"])
        climbs: dict[tuple[str, Txid], Climb] = {}
        events = []
        for row in rows:
            event = self._event(row)
            events.append(event)
            if event.treasury is None or event.txid is None or event.flow is None:
                continue
            key = (event.treasury, event.txid)
            if key not in climbs:
                for step in self._steps(event):
                    yield from self._decided([], [step])
            climbs[key] = self._climb(event, climbs.get(key))
        reached = [climb for climb in climbs.values() if climb.entry.level > climb.from_level]
        yield from self._decided(events, reached)

    def rest(self) -> Iterator[Notice]:
        """What was still waiting at the end of the log: the condition holds."""
        yield from self.waiting

    def _due(self, at_ms: int) -> Iterator[Notice]:
        due = [n for n in self.waiting if n.event.at_ms + n.wait_seconds * 1000 <= at_ms]
        self.waiting = [n for n in self.waiting if n not in due]
        yield from due

    def _decided(self, events: list[Event], climbs: list[Climb]) -> Iterator[Notice]:
        expectations = Expectations(self.connection)
        told = self.told | {event.id: self._told_of_its_own(event) for event in events}
        decision = decide(self.policy, events, climbs, told, self._recall, expectations.was_recognised)
        never_told = self._ended(events)
        for notice in decision.notices:
            key = (notice.endpoint, notice.webhook_id)
            if key in self.sent or key in never_told:
                continue
            self.sent.add(key)
            self._tell(notice)
            if notice.wait_seconds:
                self.waiting.append(notice)
            else:
                yield notice

    def _ended(self, events: list[Event]) -> set[tuple[str, str]]:
        """What is not sent of conditions that ended: their waiting beginnings, and so these ends."""
        ends = {e.incident: e.id for e in events if e.incident is not None and e.txid is None}
        ended = [(n, ends[n.event.incident]) for n in self.waiting if n.event.incident in ends]
        self.waiting = [n for n in self.waiting if n.event.incident not in ends]
        return {(notice.endpoint, end) for notice, end in ended}

    def _tell(self, notice: Notice) -> None:
        if notice.event.incident is None:
            return
        endpoints = self.told.setdefault(notice.event.incident, {})
        old = endpoints.get(notice.endpoint, notice.severity)
        endpoints[notice.endpoint] = max(old, notice.severity, key=_LOUDNESS.index)

    def _told_of_its_own(self, event: Event) -> dict[str, Severity]:
        """Who was told of the incident that a transaction had before it fell with its parent."""
        superseded = event.data.get("supersedes")
        if not event.correction or superseded is None:
            return {}
        row = self.connection.execute("SELECT incident FROM events WHERE id = ?", (superseded,)).fetchone()
        return {} if row["incident"] == event.incident else self.told.get(row["incident"], {})

    def _recall(self, sequence: int) -> Event:
        row = self.connection.execute("SELECT * FROM events WHERE sequence = ?", (sequence,)).fetchone()
        return self._event(row)

    def _event(self, row: sqlite3.Row) -> Event:
        incident, kind = row["incident"], row["type"]
        takes_back = kind in CORRECTIONS
        follows = kind in {"tx.seen", "tx.confirmed"} and incident in self.corrected
        data = json.loads(row["body"])
        if takes_back:
            self.corrected.add(incident)
        event = Event(
            id=row["id"],
            sequence=row["sequence"],
            type=kind,
            at_ms=row["at_ms"],
            treasury=row["treasury"],
            txid=None if row["txid"] is None else Txid(row["txid"]),
            incident=incident,
            flow=None if row["flow"] is None else Flow(row["flow"]),
            data=data,
            correction=takes_back or follows,
        )
        return replace(event, critical=self._is_critical(event))

    def _is_critical(self, event: Event) -> bool:
        data = event.data
        if event.type == "tx.unconfirmed":
            entry = self._entry(event)
            return entry is not None and entry.final
        if event.type == "watch.removed":
            delta = data.get("delta_sats")
            return isinstance(delta, dict) and delta["confirmed"] < 0
        if event.type == "config.changed":
            changes = data.get("difference")
            return isinstance(changes, list) and any(
                c["change"] == "loosened" or (c["change"] == "removed" and c["what"] != "treasury")
                for c in changes
            )
        return False

    def _entry(self, event: Event) -> Entry | None:
        if event.treasury is None or event.txid is None:
            return None
        return self.entries.get((event.treasury, event.txid))

    def _steps(self, event: Event) -> list[Climb]:
        """The numeric rungs that were passed on the way to a `tx.final`."""
        entry = self._entry(event)
        if event.type != "tx.final" or entry is None or event.data["detected_late"]:
            return []
        rungs = {level_of(rung, self.policy.finality) for rule in self.policy.rules for rung in rule.at}
        steps = []
        for level in sorted(rung for rung in rungs if entry.level < rung < self.policy.finality):
            before, entry = entry.level, replace(entry, level=level)
            steps.append(Climb(entry, before))
        self.entries[entry.treasury, entry.txid] = entry
        return steps

    def _climb(self, event: Event, begun: Climb | None) -> Climb:
        """How far the entry has come with this event, since `begun` in the same commit."""
        assert event.treasury is not None
        assert event.txid is not None
        assert event.flow is not None
        old = self._entry(event)
        entry = old or Entry(
            event.treasury, event.txid, State.HELD, event.flow, 0, 0, None, False, event.incident or ""
        )
        before = entry.level if begun is None else begun.from_level
        match event.type:
            case "tx.seen":
                entry = replace(entry, level=max(0, entry.level))
            case "tx.confirmed":
                confirmations = event.data["confirmations"]
                assert isinstance(confirmations, int)
                # told anew, after it was taken back; what was pending in a baseline was known before
                before = 0 if old is None and _was_pending(event) else min(before, 0)
                level = min(confirmations, self.policy.finality)
                entry = replace(entry, level=level, confirmed_event=event.sequence)
            case "tx.final":
                entry = replace(entry, level=self.policy.finality, final=True)
            case "tx.unconfirmed":
                before = 0
                entry = replace(entry, level=0, final=False, confirmed_event=None)
            case correction if correction in CORRECTIONS:
                before, entry = max(before, 0), replace(entry, level=max(entry.level, 0))
        self.entries[event.treasury, event.txid] = entry
        return Climb(entry, before)


def _was_pending(event: Event) -> bool:
    delta = event.data["delta_sats"]
    return isinstance(delta, dict) and delta["pending"] != 0
