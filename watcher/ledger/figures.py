"""The ledger's sums for metrics, kept up incrementally: an idle scrape costs nothing that grows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from watcher.core.known import Flow
from watcher.ledger.queries import last_sequence, one_moment, outbox_counts, tip, treasuries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from watcher.bitcoin.types import Sats
    from watcher.ledger.queries import OutboxRow, TipRow, TreasuryRow


class EventLabels(NamedTuple):
    """What events are counted by; empty text where an event has no treasury or no flow."""

    type: str
    treasury: str
    flow: str
    severity: str


class ConditionLabels(NamedTuple):
    """A kind of condition and whom it concerns; no treasury is empty text."""

    condition: str
    treasury: str


class FlowKey(NamedTuple):
    """A treasury's transactions in one direction."""

    treasury: str
    flow: str


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """How many transactions, and the satoshis they moved (never negative)."""

    transactions: int
    sats: Sats


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """Everything that metrics tell of the ledger, as of `sequence`."""

    sequence: int
    tip: TipRow | None
    treasuries: tuple[TreasuryRow, ...]
    flows: Mapping[FlowKey, FlowFigures]
    events: Mapping[EventLabels, int]
    reorganizations: int
    outbox: tuple[OutboxRow, ...]
    conditions: frozenset[ConditionLabels]  # those that hold now


def figures(connection: sqlite3.Connection, previous: LedgerFigures | None) -> LedgerFigures:
    """The present figures, all of one moment; `previous` (of the same log) spares what has not changed."""
    with one_moment(connection):
        sequence = last_sequence(connection)
        unchanged = previous is not None and previous.sequence == sequence
        rows = tuple(treasuries(connection))
        return LedgerFigures(
            sequence=sequence,
            tip=tip(connection),
            treasuries=rows,
            flows=previous.flows if previous and unchanged else _flows(connection, rows),
            events=previous.events if previous and unchanged else _events(connection, previous),
            reorganizations=_reorganizations(connection),
            outbox=tuple(outbox_counts(connection)),
            conditions=_conditions(connection),
        )


def _flows(connection: sqlite3.Connection, rows: tuple[TreasuryRow, ...]) -> Mapping[FlowKey, FlowFigures]:
    """The present reading: what fell is not in it, what was baselined is. Nothing before the baseline."""
    known = {row.name for row in rows if row.baselined_ms is not None}
    result = {FlowKey(name, flow): FlowFigures(0, 0) for name in known for flow in Flow}
    for row in connection.execute(
        "SELECT treasury, flow, sum(transactions) AS transactions, sum(moved) AS sats FROM sums"
        " GROUP BY treasury, flow"
    ):
        if row["treasury"] in known:
            key = FlowKey(row["treasury"], row["flow"])
            result[key] = FlowFigures(row["transactions"], row["sats"])
    return result


_COUNTS: Final = (
    "SELECT type, coalesce(treasury, '') AS treasury, coalesce(flow, '') AS flow, severity, count(*) AS n"
)
_BY: Final = " GROUP BY type, events.treasury, events.flow, severity"
_ALL: Final = f"{_COUNTS} FROM events WHERE type <> 'watch.baselined'{_BY}"
# by sequence: the index over the whole log would be walked again for each
_SINCE: Final = f"{_COUNTS} FROM events NOT INDEXED WHERE sequence > ? AND type <> 'watch.baselined'{_BY}"


def _events(connection: sqlite3.Connection, previous: LedgerFigures | None) -> Mapping[EventLabels, int]:
    """All events but baselines: the past that a baseline takes in is no news."""
    counted = Counter(previous.events if previous else {})
    question, values = (_SINCE, (previous.sequence,)) if previous else (_ALL, ())
    for row in connection.execute(question, values):
        counted[EventLabels(row["type"], row["treasury"], row["flow"], row["severity"])] += row["n"]
    return counted


def _conditions(connection: sqlite3.Connection) -> frozenset[ConditionLabels]:
    rows = connection.execute(
        """SELECT DISTINCT c.kind, coalesce(e.treasury, '') AS treasury
           FROM conditions c JOIN events e ON e.sequence = c.sequence"""
    )
    return frozenset(ConditionLabels(row["kind"], row["treasury"]) for row in rows)


def _reorganizations(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM reorganizations").fetchone()[0])
