"""A watcher without a network: looks at a `World` and folds what it sees into a real ledger.

How it looks is what the walks vary: everything or only what changed, the chain before the scripts or
with them, twice, late, or not at all for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import BlockHash, BlockRef, Confirmed, Outpoint, ScriptHash, Txid, Unconfirmed
from watcher.core.known import Terms
from watcher.core.observation import ChainChange, Observation, Reading, Sighting, Trust
from watcher.core.rules import Policy
from watcher.ledger import knowledge
from watcher.ledger.commit import Settings, commit, tell
from watcher.ledger.schema import migrate
from watcher.ledger.sqlite import STATEMENTS, driver
from watcher.ledger.watches import Listed, TreasuryList, sync

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tests.walks.world import Block, World
    from watcher.bitcoin.transactions import Transaction
    from watcher.core.events import Event
    from watcher.core.rules_types import Rule
    from watcher.ledger.knowledge import Kept

    Told = list[Event]  # `Eye.list` is something else

DROPPED_AFTER_MS = 30 * 60 * 1000
FINALITY = 6


def new_ledger(log: str) -> sqlite3.Connection:
    connection: sqlite3.Connection = driver.connect(
        ":memory:", isolation_level=None, cached_statements=STATEMENTS
    )
    connection.row_factory = driver.Row
    connection.execute("PRAGMA foreign_keys=ON")
    migrate(connection)
    connection.execute("INSERT INTO meta VALUES ('log', ?), ('network', 'regtest')", (log,))
    return connection


@dataclass(frozen=True)
class Picture:
    """Everything there is to see at one moment, and which scripts it is on."""

    moment: tuple[object, ...]
    everything: list[Sighting]
    histories: dict[ScriptHash, dict[Txid, Sighting]]


_pictures: dict[int, Picture] = {}


def picture(world: World) -> Picture:
    """What the world shows now; two eyes that look at the same moment share it."""
    moment = (id(world), world.tip, tuple(world.mempool))
    last = _pictures.get(0)
    if last is None or last.moment != moment:
        _pictures[0] = last = _draw(world, moment)
    return last


def _draw(world: World, moment: tuple[object, ...]) -> Picture:
    everything = [sighting for block in world.blocks for sighting in _of_block(block)]
    everything += [Sighting(tx, Unconfirmed(), Trust.REPORTED, ("eye",)) for tx in world.mempool.values()]
    paid: dict[Outpoint, bytes] = {}
    found: dict[bytes, dict[Txid, Sighting]] = {}
    for sighting in everything:
        for vout, output in enumerate(sighting.tx.outputs):
            paid[Outpoint(sighting.tx.txid, vout)] = output.script_pubkey
            found.setdefault(output.script_pubkey, {})[sighting.tx.txid] = sighting
    for sighting in everything:
        for spent in sighting.tx.inputs:
            if spent.outpoint in paid:
                found[paid[spent.outpoint]][sighting.tx.txid] = sighting
    return Picture(moment, everything, {scripthash(script): history for script, history in found.items()})


def _of_block(block: Block) -> list[Sighting]:
    if block.hash not in _blocks:
        if block.height == 0:
            _blocks.clear()  # another world begins
        time = 1_700_000_000 + block.height * 600
        _blocks[block.hash] = [
            Sighting(tx, Confirmed(block.ref, i), Trust.PROVEN, ("eye",), time, block.branches[i])
            for i, tx in enumerate(block.txs)
        ]
    return _blocks[block.hash]


_blocks: dict[BlockHash, list[Sighting]] = {}


@dataclass
class Eye:
    """A ledger of its own, and the ways of looking that fill it."""

    world: World
    log: str
    rules: tuple[Rule, ...] = ()
    now_ms: int = 1_700_000_000_000
    chain: list[Block] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    hidden: set[Txid] = field(default_factory=set)  # whoever is asked keeps these back
    away: int = 0  # for how many steps it does not look yet

    def __post_init__(self) -> None:
        self.connection = new_ledger(self.log)
        self.settings = Settings(
            Terms(Network.REGTEST, self.log, FINALITY, DROPPED_AFTER_MS), Policy(self.rules, FINALITY, {}), ""
        )
        self.list(self.world.treasuries)

    def list(self, treasuries: dict[str, list[bytes]]) -> None:
        """Make this the watch list."""
        self.scripts = {scripthash(s): s for scripts in treasuries.values() for s in scripts}
        lists = [
            TreasuryList(name, name, "own", [_listed(s) for s in scripts])
            for name, scripts in treasuries.items()
        ]
        self.connection.execute("BEGIN")
        events = sync(self.connection, self.settings.terms, lists, self.now_ms)
        tell(self.connection, self.settings, events, (), self.now_ms)
        self.connection.execute("COMMIT")
        self.events += events

    def look(self, scripts: set[ScriptHash] | None = None, *, chain_first: bool = False) -> Sequence[Event]:
        """Look at these scripts (all, if None) and at the chain; what was told."""
        told: Told = []
        self.now_ms += 1000
        change = self._change()
        chosen = set(self.scripts) if scripts is None else set(scripts)
        if change is not None:
            if change.depth:
                with_gone = knowledge.scripts_above(self.connection, change.fork.height)
                chosen |= set() if chain_first else with_gone
            if chain_first:
                told += self._commit(Observation(self.now_ms, change.new_tip, change))
                change = None
        chosen |= knowledge.unsettled_scripts(self.connection)
        told += self._commit(self._observation(chosen & self.scripts.keys(), change))
        return told

    def settle(self) -> None:
        """Look until nothing can still be waited for."""
        self.look()
        self.now_ms += DROPPED_AFTER_MS + 1000
        self.look()

    def hear(self, *txs: Transaction) -> Sequence[Event]:
        """A source's word that these are in no block, true or not, and nothing more. What was told."""
        self.now_ms += 1000
        said = {tx.txid: Sighting(tx, Unconfirmed(), Trust.CORROBORATED, ("eye",)) for tx in txs}
        return self._commit(Observation(self.now_ms, self.world.tip, None, said, {}))

    def follow(self) -> Sequence[Event]:
        """Look at the chain alone, at no script yet; what was told."""
        self.now_ms += 1000
        return self._commit(Observation(self.now_ms, self.world.tip, self._change()))

    def glimpse(self) -> Sequence[Event]:
        """At the chain, and at some of what is in its blocks, in any order; what was told."""
        told = [*self.follow()]
        ours = {txid for script in self.scripts for txid in picture(self.world).histories.get(script, ())}
        shown = [tx for block in self.world.blocks for tx in block.txs if tx.txid in ours]
        self.world.rng.shuffle(shown)
        return told + self.show(*shown[: len(shown) // 3])

    def show(self, *txs: Transaction) -> Told:
        """Each of these that are in blocks, in a commit of its own; what was told.

        It is a fact by itself, whoever shows it, and however long the rest stays unknown.
        """
        told: Told = []
        proven = {s.tx.txid: s for s in picture(self.world).everything}
        for tx in txs:
            seen = {tx.txid: proven[tx.txid]}
            told += self._commit(Observation(self.now_ms, self.world.tip, self._change(), seen))
        return told

    def _commit(self, observation: Observation) -> Sequence[Event]:
        self.connection.execute("BEGIN IMMEDIATE")
        committed = commit(self.connection, self.settings, observation)
        self.connection.execute("COMMIT")
        assert self.hidden or not committed.strangers  # without its coin a spend is a stranger's
        self.events += committed.events
        return committed.events

    def _change(self) -> ChainChange | None:
        world = self.world.blocks
        shared = 0
        for ours, theirs in zip(self.chain, world, strict=False):
            if ours.hash != theirs.hash:
                break
            shared += 1
        if shared == len(world) or (self.chain and len(world) <= len(self.chain)):
            return None
        old = self.chain[-1].ref if self.chain else world[0].ref
        fork = world[shared - 1].ref if shared else BlockRef(-1, world[0].hash)
        self.chain, new = list(world), world[shared:]
        if not shared:
            old = fork
        return ChainChange(fork, old, new[-1].ref, tuple(b.raw for b in new), new[0].hash)

    def _observation(self, scripts: set[ScriptHash], change: ChainChange | None) -> Observation:
        readings: dict[ScriptHash, Reading] = {}
        sightings: dict[Txid, Sighting] = {}
        histories = picture(self.world).histories
        todo = sorted(scripts)
        while todo:  # a coin spent may lie on another of our scripts: that one is read too
            script = todo.pop()
            history = {t: s for t, s in histories.get(script, {}).items() if t not in self.hidden}
            sightings |= history
            readings[script] = Reading(script, frozenset(history), None)
            for other in self.scripts:
                if other not in readings and not histories.get(other, {}).keys().isdisjoint(history):
                    todo.append(other)
        if self.world.rng.random() < 0.9:  # mostly what is news, as the daemon does; at times everything
            sightings = self._news(sightings, change)
        sightings |= self._rivals(readings, sightings, change)
        return Observation(self.now_ms, self.world.tip, change, sightings, readings)

    def _news(self, sightings: dict[Txid, Sighting], change: ChainChange | None) -> dict[Txid, Sighting]:
        """What is new, or elsewhere than the ledger has it."""
        fork = self.world.tip.height if change is None else change.fork.height
        kept = knowledge.kept(self.connection, sightings)
        return {
            txid: sighting
            for txid, sighting in sightings.items()
            if not _is_settled(sighting, kept.get(txid), fork)
        }

    def _rivals(
        self,
        readings: dict[ScriptHash, Reading],
        sightings: dict[Txid, Sighting],
        change: ChainChange | None,
    ) -> dict[Txid, Sighting]:
        """Who spends the coins of what is gone: the question `watcher.observe.rivals` asks of a source."""
        fork = self.world.tip.height if change is None else change.fork.height
        present = {txid for reading in readings.values() for txid in reading.txids}
        lost = {
            i.outpoint
            for txid, raw in knowledge.unsettled_on(self.connection, readings, fork).items()
            if txid not in present
            for i in parse_transaction(raw).inputs
        }
        if not lost:
            return {}
        return {
            s.tx.txid: s
            for s in picture(self.world).everything
            if s.tx.txid not in sightings and any(i.outpoint in lost for i in s.tx.inputs)
        }


def _is_settled(sighting: Sighting, kept: Kept | None, fork: int) -> bool:
    if kept is None:
        return False
    if isinstance(sighting.position, Confirmed):
        return kept.block == sighting.position.block
    return kept.live and (kept.block is None or kept.block.height <= fork)


def _listed(script_pubkey: bytes) -> Listed:
    return Listed(scripthash(script_pubkey), script_pubkey, None, None, None, None, None)
