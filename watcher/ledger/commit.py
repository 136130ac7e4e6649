"""The unit of work: an observation in, one transaction on the writer thread, what it told out.

Nothing in here waits: what was known is read, folded, judged and written between one BEGIN and one
COMMIT, so a crash leaves all of it or nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from watcher.bitcoin.types import Txid, Unconfirmed
from watcher.core.events import Event
from watcher.core.fiat import RateAt, no_rate
from watcher.core.known import Flow
from watcher.core.observation import Sighting
from watcher.core.reconcile import reconcile
from watcher.core.rules import Notice, Policy, decide, follows, level_of
from watcher.core.rules_types import Severity
from watcher.ledger import chain, store
from watcher.ledger.baseline import baseline
from watcher.ledger.expectations import Expectations
from watcher.ledger.load import load, load_transactions
from watcher.ledger.many import as_list
from watcher.ledger.transactions import index_known, spending_from_new, store_transactions, without_entry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.core.book import Climb
    from watcher.core.known import KnownTransaction, Terms
    from watcher.core.observation import Observation


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator has set that a commit depends on, and at which rate it tells amounts."""

    terms: Terms
    policy: Policy
    external_url: str
    rate: RateAt = no_rate


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit told, and the endpoints that are owed something of it.

    `strangers` are transactions that a source put into a script's history and that have nothing to do
    with it, by their bytes.
    """

    events: tuple[Event, ...]
    endpoints: frozenset[str]
    strangers: tuple[Txid, ...] = ()


def commit(connection: sqlite3.Connection, settings: Settings, seen: Observation) -> Committed:
    """Fold `seen` into the ledger."""
    if seen.chain is not None:
        chain.advance(connection, seen.chain)
    connection.execute(
        """UPDATE watches SET anchor_height = ?, anchor_hash = ?
           WHERE removed_ms IS NULL AND anchor_height IS NULL""",
        (seen.tip.height, seen.tip.hash),
    )
    said = {**seen.pieces, **{script: reading.txids for script, reading in seen.readings.items()}}
    listed = _listed(connection, said)
    new = [row for row in listed if not row["baselined"]]
    seen, held = _with_what_is_kept(connection, seen, said, new)
    policy = settings.policy
    rungs = {level_of(rung, policy.finality) for rule in policy.rules for rung in rule.at} | {policy.finality}
    known = load(connection, settings.terms, seen, rungs, held)
    outcome = reconcile(known, seen)
    store_transactions(connection, outcome, seen, known.transactions.keys())
    store.store_entries(connection, outcome.entries)
    store.store_readings(connection, seen.readings.values(), seen.at_ms)
    store.store_balances(connection, outcome.balances, seen.at_ms)
    told = tell(connection, settings, outcome.events, outcome.climbs, seen.at_ms)
    if seen.chain is not None and seen.chain.depth > 0:
        connection.execute(
            "INSERT INTO reorganizations (sequence, fork_height, depth) VALUES (?, ?, ?)",
            (outcome.events[0].sequence, seen.chain.fork.height, seen.chain.depth),
        )
    counted = baseline(connection, settings.terms, seen.at_ms)
    more = tell(connection, settings, counted, (), seen.at_ms)
    claimed = {txid for row in listed for txid in said[row["scripthash"]] & seen.sightings.keys()}
    # one that was kept before touched a script of ours then, or is named by an event
    strangers = (claimed & outcome.strangers).difference(known.transactions, outcome.rivals)
    return Committed(told.events + more.events, told.endpoints | more.endpoints, tuple(sorted(strangers)))


def tell(
    connection: sqlite3.Connection,
    settings: Settings,
    events: Sequence[Event],
    climbs: Sequence[Climb],
    at_ms: int,
    begun: Mapping[str, Severity] | None = None,
) -> Committed:
    """Append events to the log and put what the rules make of them into the outbox.

    `begun`: who was told the beginning of the condition that the one event ends, and how loudly.
    """
    if not events and not climbs:
        return Committed((), frozenset())
    decision = decide(
        settings.policy,
        events,
        climbs,
        _told(connection, [event for event in events if follows(event)]),
        lambda sequence: _recall(connection, sequence),
        Expectations(connection).recognise,
    )
    store.store_events(connection, events, decision.severities)
    notices = _as_begun(settings.policy, events[0], decision.notices, begun) if begun else decision.notices
    rate = settings.rate(at_ms)
    store.store_notices(connection, notices, settings.external_url, at_ms, rate=rate)
    return Committed(tuple(events), frozenset(n.endpoint for n in notices))


def _as_begun(
    policy: Policy, end: Event, notices: Iterable[Notice], begun: Mapping[str, Severity]
) -> tuple[Notice, ...]:
    """Whoever was told the beginning is told the end, as loudly, whatever the rules are by then.

    An alert manager knows the two as one by that.
    """
    told = {notice.endpoint: notice for notice in notices}
    for endpoint, severity in begun.items():
        if policy.reachable is None or endpoint in policy.reachable:
            notice = told.get(endpoint) or Notice(endpoint, end.id, end, end.type, severity, ())
            told[endpoint] = structs.replace(notice, severity=severity)
    return tuple(told.values())


def _listed(connection: sqlite3.Connection, scripts: Collection[ScriptHash]) -> list[sqlite3.Row]:
    """Which of these scripts are on the list, and whether they were new to their treasury until now."""
    if not scripts:
        return []
    return connection.execute(
        """SELECT s.scripthash, s.script_pubkey, s.id, w.treasury, w.baselined
           FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value
           JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL""",
        (as_list(scripts),),
    ).fetchall()


def _with_what_is_kept(
    connection: sqlite3.Connection,
    seen: Observation,
    said: Mapping[ScriptHash, frozenset[Txid]],
    new: Collection[sqlite3.Row],
) -> tuple[Observation, set[int]]:
    """With what the ledger holds already, and what the observation gives another meaning.

    A script new to a treasury may have such a past: it is not fetched again. And what spends a coin that is
    shown only now was told without it; the rows of those of them that are held come beside.
    """
    ids, held = spending_from_new(connection, seen.sightings)
    if new:
        index_known(connection, [(row["script_pubkey"], row["id"], said[row["scripthash"]]) for row in new])
    for row in new:
        if past := said[row["scripthash"]] - seen.sightings.keys():
            ids |= without_entry(connection, row["treasury"], past)
    kept: dict[Txid, Sighting] = {}
    for txid, known in load_transactions(connection, ids).items():
        sighting = _sighting(connection, known)
        if sighting is not None and txid not in seen.sightings:
            kept[txid] = sighting
    return (replace(seen, sightings={**seen.sightings, **kept}) if kept else seen), held


def _sighting(connection: sqlite3.Connection, known: KnownTransaction) -> Sighting | None:
    if known.settled is None:
        if not known.held:
            return None
        return Sighting(known.tx, Unconfirmed(), known.trust, known.sources)
    branch = connection.execute(
        "SELECT branch FROM transactions WHERE txid = ?", (known.tx.txid,)
    ).fetchone()["branch"]
    siblings = tuple(branch[i : i + 32][::-1].hex() for i in range(0, len(branch), 32))
    return Sighting(known.tx, known.settled, known.trust, known.sources, known.block_time, siblings)


def _told(connection: sqlite3.Connection, events: Sequence[Event]) -> dict[str, dict[str, Severity]]:
    """Who was sent anything of the incidents that these events follow, and how loudly.

    What falls with its parent joins the parent's incident: under the event's id, who was told of its own.
    """
    asked = {event.incident: [event.incident] for event in events if event.incident is not None}
    if not asked:
        return {}
    taken_back = {str(e.data["supersedes"]): e for e in events if e.data.get("supersedes")}
    for row in connection.execute(
        "SELECT e.id, e.incident FROM json_each(?) j JOIN events e ON e.id = j.value", (as_list(taken_back),)
    ):
        event = taken_back[row["id"]]
        if row["incident"] != event.incident:
            asked.setdefault(row["incident"], []).append(event.id)
    rank = {"info": 0, "warning": 1, "critical": 2}
    told: dict[str, dict[str, Severity]] = {}
    for row in connection.execute(
        """SELECT DISTINCT d.incident, d.endpoint, d.severity FROM json_each(?) j
           JOIN deliveries d ON d.incident = j.value""",
        (as_list(asked),),
    ):
        for key in asked[row["incident"]]:
            endpoints = told.setdefault(key, {})
            old = endpoints.get(row["endpoint"], Severity.INFO)
            endpoints[row["endpoint"]] = max(old, Severity(row["severity"]), key=lambda s: rank[s])
    return told


def _recall(connection: sqlite3.Connection, sequence: int) -> Event:
    row = connection.execute("SELECT * FROM events WHERE sequence = ?", (sequence,)).fetchone()
    return Event(
        id=row["id"],
        sequence=row["sequence"],
        type=row["type"],
        at_ms=row["at_ms"],
        treasury=row["treasury"],
        txid=Txid(row["txid"]),
        incident=row["incident"],
        flow=Flow(row["flow"]),
        data=json.loads(row["body"]),
    )
