"""A ledger as it is after years: made by the real commits, confirmed payments in blocks, all delivered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.toy.coding import NULL, Block, Tx, merkle_branch, mined
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.status import status_hash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import BlockRef, Confirmed, Outpoint, Txid
from watcher.core.known import Terms
from watcher.core.observation import ChainChange, Observation, Reading, Sighting, Trust
from watcher.core.rules import Policy
from watcher.core.rules_types import EVERY_TREASURY, Rule, Severity, Topic
from watcher.ledger.commit import Settings, commit
from watcher.ledger.opening import create_or_open
from watcher.ledger.queries import log_id
from watcher.ledger.watches import Listed, TreasuryList, sync

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

TREASURY: Final = "bench"
_NOW_MS: Final = 1_790_000_000_000
_GENESIS: Final = PARAMS[Network.REGTEST]
_A_BLOCK: Final = 500  # payments
_AT_ONCE: Final = 20_000  # scripts that are read for the first time
_RULE: Final = Rule(
    name="everything",
    on=(Topic.INFLOW,),
    treasuries=(EVERY_TREASURY,),
    min_sats=0,
    at=("confirmed",),
    severity=Severity.INFO,
    send_to=("ops",),
    dormant_days=None,
    btc_sats=None,
    for_seconds=0.0,
)


@dataclass(frozen=True, slots=True)
class Large:
    """What was made: the chain's blocks from the genesis on, the addresses, and how many rows there are."""

    blocks: tuple[Block, ...]
    addresses: tuple[str, ...]
    rows: int


def large(state: Path, *, scripts: int, payments: int) -> Large:
    """A ledger in `state` that watches so many scripts, the first of which were paid so often in all.

    A payment is a transaction, a touch, a coin, a spend, an entry, two events, a delivery and an attempt.
    """
    state.mkdir(parents=True)
    pays = [_script(number) for number in range(scripts)]
    connection = create_or_open(state, Network.REGTEST, _NOW_MS)
    try:
        blocks = _live(connection, pays, payments)
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    finally:
        connection.close()
    return Large(tuple(blocks), tuple(_address(one) for one in pays), rows)


def _live(connection: sqlite3.Connection, pays: Sequence[bytes], payments: int) -> list[Block]:
    terms = Terms(Network.REGTEST, log_id(connection), 6, 60_000)
    settings = Settings(terms, Policy((_RULE,), 6, {}, endpoints=("ops",)), "")
    listed = [Listed(scripthash(one), one, _address(one), None, None, None, None) for one in pays]
    blocks = [Block(_GENESIS.genesis_header, ())]

    def unit(seen: Observation) -> None:
        connection.execute("BEGIN IMMEDIATE")
        commit(connection, settings, seen)
        connection.execute("COMMIT")

    connection.execute("BEGIN IMMEDIATE")
    sync(connection, terms, [TreasuryList(TREASURY, TREASURY, "own", listed)], _NOW_MS)
    connection.execute("COMMIT")
    tip = BlockRef(0, blocks[0].hash)
    nothing = BlockRef(-1, blocks[0].hash)
    unit(Observation(_NOW_MS, tip, ChainChange(nothing, nothing, tip, (blocks[0].header,), tip.hash)))
    for at in range(0, len(listed), _AT_ONCE):
        empty = {s.scripthash: Reading(s.scripthash, frozenset(), None) for s in listed[at : at + _AT_ONCE]}
        unit(Observation(_NOW_MS, tip, None, {}, empty))
    histories: dict[bytes, list[tuple[Txid, int]]] = {}
    for first in range(0, payments, _A_BLOCK):
        paid = [pays[number % len(pays)] for number in range(first, min(payments, first + _A_BLOCK))]
        unit(_block(blocks, paid, first, histories))
    for _ in range(settings.terms.finality):
        unit(_block(blocks, (), payments, histories))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO attempts SELECT id, 1, created_ms, 12, 'delivered', 204 FROM deliveries")
    connection.execute("UPDATE deliveries SET state = 'delivered', attempts = 1, done_ms = created_ms + 12")
    connection.execute("COMMIT")
    return blocks


def _block(
    blocks: list[Block], paid: Sequence[bytes], number: int, histories: dict[bytes, list[tuple[Txid, int]]]
) -> Observation:
    """The next block, with a payment to each of these, as it is observed."""
    old, height = BlockRef(len(blocks) - 1, blocks[-1].hash), len(blocks)
    coinbase = Tx((NULL,), ((b"\x51", 5_000_000_000),), b"\x03" + height.to_bytes(3, "little"))
    txs = [
        Tx((Outpoint(Txid(f"{number + at + 1:064x}"), 0),), ((script, 10_000 + number + at),))
        for at, script in enumerate(paid)
    ]
    time = int.from_bytes(blocks[-1].header[68:72], "little") + 600
    block = mined(old.hash, time, [coinbase.txid, *(tx.txid for tx in txs)])
    blocks.append(block)
    tip = BlockRef(height, block.hash)
    sightings, readings = {}, {}
    for index, (script, tx) in enumerate(zip(paid, txs, strict=True), 1):
        branch = tuple(merkle_branch(block.txids, index))
        where = Confirmed(tip, index)
        parsed = parse_transaction(tx.raw)
        sightings[tx.txid] = Sighting(parsed, where, Trust.PROVEN, ("home",), time, branch)
        history = histories.setdefault(script, [])
        history.append((tx.txid, height))
        name = scripthash(script)
        readings[name] = Reading(name, frozenset(txid for txid, _ in history), status_hash(history))
    change = ChainChange(old, old, tip, (block.header,), block.hash)
    return Observation(_NOW_MS + height * 1000, tip, change, sightings, readings)


def _script(number: int) -> bytes:
    return b"\x00\x14" + hashlib.sha256(f"large {number}".encode()).digest()[:20]


def _address(script: bytes) -> str:
    address = encode_address(script, Network.REGTEST)
    assert address is not None
    return address
