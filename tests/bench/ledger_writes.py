"""The ledger: unconfirmed inflows folded, judged and written, so many in a commit with its fsync."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tests.bench.result import Row
from tests.walks.world import World, build, script
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import BlockRef, Outpoint, Txid, Unconfirmed
from watcher.core.known import Terms
from watcher.core.observation import ChainChange, Observation, Reading, Sighting, Trust
from watcher.core.rules import Policy
from watcher.core.rules_types import EVERY_TREASURY, Rule, Severity, Topic
from watcher.ledger.commit import Settings, commit
from watcher.ledger.opening import FILE, create_or_open
from watcher.ledger.queries import log_id
from watcher.ledger.sqlite import driver, open_writer
from watcher.ledger.watches import Listed, TreasuryList, sync
from watcher.ledger.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

_NOW_MS: Final = 1_700_000_000_000
_PAID: Final = 50_000  # satoshis, by each event
_BARE: Final = "bare.sqlite"
_RULE: Final = Rule(
    name="everything",
    on=(Topic.INFLOW,),
    treasuries=(EVERY_TREASURY,),
    min_sats=0,
    at=("seen",),
    severity=Severity.INFO,
    send_to=("ops",),
    dormant_days=None,
    btc_sats=None,
    for_seconds=0.0,
)


async def ledger_writes(folder: Path, *, events: int, at_once: int, repeats: int) -> Row:
    """Each event owes a delivery too. The reference writes on a copy of the same ledger what came of it.

    It ends with the same rows, or the bench does: with indexes, foreign keys, journal and fsyncs as ours.
    """
    took: list[float] = []
    bare_took: list[float] = []
    for number in range(repeats):
        state = folder / f"{at_once} at once, {number}"
        seconds, rows = await _ours(state, events, at_once)
        took.append(events / seconds)
        bare_took.append(events / _bare(state, rows, at_once))
    return Row(
        name=f"ledger, {at_once:,} event{'' if at_once == 1 else 's'} a commit",
        unit="events/s",
        more_is_better=True,
        ours=tuple(took),
        reference="sqlite3 writing the same rows, as durable",
        theirs=tuple(bare_took),
    )


_Rows: TypeAlias = dict[str, list[tuple[Any, ...]]]
_ORDER: Final = {
    "transactions": "id",
    "touches": "tx",
    "coins": "script",
    "spends": "tx",
    "entries": "tx",
    "events": "sequence",
    "deliveries": "id",
}


async def ledger_growth(folder: Path, *, few: int, many: int, commits: int) -> Row:
    """A commit of one event each on a small and on a large list, in turns."""
    small, large = await opened(folder / "few", few), await opened(folder / "many", many)
    took: dict[int, list[float]] = {few: [], many: []}
    for number in range(commits):
        for size, ledger in ((few, small), (many, large)):
            at = number * (size // commits)  # all over the list
            observation = inflows(ledger.watched[at : at + 1], at, ledger.tip)
            began = time.perf_counter()
            await ledger.writer.run(partial(commit, settings=ledger.settings, seen=observation))
            took[size].append((time.perf_counter() - began) * 1000)
    await small.writer.close()
    await large.writer.close()
    return Row(
        name=f"ledger, a commit with {many:,} scripts watched",
        unit="ms",
        more_is_better=False,
        ours=tuple(took[many]),
        reference=f"the same with {few:,}",
        theirs=tuple(took[few]),
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A ledger that watches so many scripts, all read and empty."""

    connection: sqlite3.Connection
    writer: Writer
    settings: Settings
    watched: list[bytes]
    tip: BlockRef


async def opened(state: Path, scripts: int) -> Opened:
    """A new one in the directory `state`."""
    state.mkdir(parents=True)
    watched = [script(f"bench {number}") for number in range(scripts)]
    connection = create_or_open(state, Network.REGTEST, _NOW_MS)
    terms = Terms(Network.REGTEST, log_id(connection), 6, 60_000)
    settings = Settings(terms, Policy((_RULE,), 6, {}, endpoints=("ops",)), "")
    listed = [Listed(scripthash(one), one, None, None, None, None, None) for one in watched]
    chain = World(1, {"other": [script("other")]}).blocks
    tip = chain[-1].ref
    start = BlockRef(-1, chain[0].hash)
    change = ChainChange(start, start, tip, tuple(block.raw for block in chain), chain[0].hash)
    empty = {one.scripthash: Reading(one.scripthash, frozenset(), None) for one in listed}
    writer = Writer(connection)
    lists = [TreasuryList("bench", "bench", "own", listed)]
    await writer.run(lambda c: sync(c, terms, lists, _NOW_MS))
    await writer.run(lambda c: commit(c, settings, Observation(_NOW_MS, tip, change, {}, empty)))
    return Opened(connection, writer, settings, watched, tip)


async def _ours(state: Path, events: int, at_once: int) -> tuple[float, _Rows]:
    """Seconds, and the rows that were added, by table."""
    ledger = await opened(state, events)
    before = _rows(ledger.connection)
    copied = driver.connect(str(state / _BARE))
    ledger.connection.backup(copied)
    copied.close()
    seen = [inflows(ledger.watched[at : at + at_once], at, ledger.tip) for at in range(0, events, at_once)]
    told = 0
    began = time.perf_counter()
    for observation in seen:
        unit = partial(commit, settings=ledger.settings, seen=observation)
        told += len((await ledger.writer.run(unit)).events)
    took = time.perf_counter() - began
    if told != events:
        raise RuntimeError(f"{told} events of {events} inflows")
    after = _rows(ledger.connection)
    await ledger.writer.close()
    added = {table: rows[len(before[table]) :] for table, rows in after.items()}
    return took, {table: rows for table, rows in added.items() if rows}


def inflows(scripts: Sequence[bytes], number: int, tip: BlockRef) -> Observation:
    """A payment to each, from somewhere else."""
    sightings: dict[Txid, Sighting] = {}
    readings = {}
    for at, one in enumerate(scripts, number):
        tx = build([Outpoint(Txid(f"{at + 1:064x}"), 0)], [(_PAID, one), (70_000, script("change"))], at)
        sightings[tx.txid] = Sighting(tx, Unconfirmed(), Trust.REPORTED, ("home",))
        readings[scripthash(one)] = Reading(scripthash(one), frozenset({tx.txid}), f"{at:064x}")
    return Observation(_NOW_MS + number, tip, None, sightings, readings)


def _rows(connection: sqlite3.Connection) -> _Rows:
    """All rows by table, in the order in which they came."""
    return {
        table: [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order}")]
        for table, order in _ORDER.items()
    }


def _bare(state: Path, rows: _Rows, at_once: int) -> float:
    """Seconds of writing them, so many events a commit, on one thread, with the ledger's own settings."""
    connection = open_writer(state / _BARE)
    connection.row_factory = None
    events = len(rows["events"])
    inserts = {t: f"INSERT INTO {t} VALUES ({', '.join('?' * len(some[0]))})" for t, some in rows.items()}
    parts = [
        {
            table: some[len(some) * at // events : len(some) * (at + at_once) // events]
            for table, some in rows.items()
        }
        for at in range(0, events, at_once)
    ]
    read = [
        (f"{number:064x}", _NOW_MS + number // at_once * at_once, scripthash(script(f"bench {number}")))
        for number in range(events)
    ]
    began = time.perf_counter()
    for number, part in enumerate(parts):
        connection.execute("BEGIN IMMEDIATE")
        for table, some in part.items():
            connection.executemany(inserts[table], some)
        connection.executemany(
            "UPDATE scripts SET status = ?, read_ms = ? WHERE scripthash = ?",
            read[number * at_once : (number + 1) * at_once],
        )
        connection.execute(
            "UPDATE treasuries SET pending = ?, last_change_ms = ?",
            ((number + 1) * at_once * _PAID, _NOW_MS + number * at_once),
        )
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    ours = driver.connect(str(state / FILE))
    for table in (*rows, "scripts", "treasuries"):
        if _all(ours, table) != _all(connection, table):
            raise RuntimeError(f"the reference has other {table} than the ledger")
    ours.close()
    connection.close()
    return took


def _all(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]
