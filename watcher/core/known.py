"""What the ledger knew before an observation: the part of it that the observation can change.

What there is one of for each transaction, script or coin is a `Struct`: it is made, and made again with a
change, in a fraction of the time that a dataclass takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import BlockHash, BlockRef, Confirmed, Outpoint, Sats, ScriptHash, Txid
    from watcher.core.observation import Trust


class Flow(StrEnum):
    """The direction of a transaction, seen from one treasury."""

    INFLOW = "inflow"
    OUTFLOW = "outflow"
    INTERNAL = "internal"


class State(StrEnum):
    """Where a transaction is in its life, in one treasury's book."""

    HELD = "held"  # unconfirmed, and sources have it
    CONFIRMED = "confirmed"
    MISSING = "missing"  # unconfirmed, and no source has it; not yet given up
    REPLACED = "replaced"
    DROPPED = "dropped"
    CONFLICTED = "conflicted"
    LEFT = "left"  # the watch list changed, and no script of the treasury is in it any more


class Entry(msgspec.Struct, frozen=True):
    """One transaction in one treasury's book.

    `confirmed` and `pending` are what the log's sum holds of it; every event's `delta_sats` is the
    change of this pair, so that the sum cannot drift from the book. `level` is the highest rung already
    judged (-1 none, 0 seen, n confirmations). `correction` is the id of the last event that took
    something back, `stated` the last one that stated something, `confirmed_event` the sequence of the
    present `tx.confirmed`.
    """

    treasury: str
    txid: Txid
    state: State
    flow: Flow
    amount: Sats
    moved: Sats
    fee: Sats | None
    mixed: bool
    incident: str
    confirmed: Sats = 0
    pending: Sats = 0
    baselined: bool = False
    final: bool = False
    level: int = -1
    correction: str | None = None
    stated: str | None = None
    confirmed_event: int | None = None
    missing_ms: int | None = None

    @property
    def is_live(self) -> bool:
        """Unconfirmed and neither replaced, dropped nor conflicted."""
        return self.state in {State.HELD, State.MISSING}


@dataclass(frozen=True, slots=True)
class KnownTransaction:
    """A transaction the ledger has, with its entries by treasury.

    `displaced_by` is set while its block has left our chain and no reading has said where it is now.
    """

    tx: Transaction
    confirmed: Confirmed | None
    held: bool
    trust: Trust
    sources: tuple[str, ...]
    block_time: int | None = None
    displaced_by: BlockHash | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def settled(self) -> Confirmed | None:
        """Its block, where that block is on our chain."""
        return self.confirmed if self.displaced_by is None else None


class Member(msgspec.Struct, frozen=True):
    """A script's place in a treasury. `read`: its history was read in full at least once."""

    treasury: str
    scripthash: ScriptHash
    script_pubkey: bytes
    address: str | None
    label: str | None
    anchor: BlockRef
    baselined: bool
    read: bool


class Coin(msgspec.Struct, frozen=True):
    """An output that pays a watched script, and when its block was mined (seconds; None: unconfirmed)."""

    output: TxOutput
    block_time: int | None


class Balance(msgspec.Struct, frozen=True):
    """The log's running sum for one treasury; not `baselined`: nobody may quote it yet."""

    confirmed: Sats
    pending: Sats
    baselined: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the whole ledger: its identity, and the operator's figures."""

    network: Network
    log: str
    finality: int
    dropped_after_ms: int


@dataclass(frozen=True, slots=True)
class Known:
    """The ledger as far as an observation can touch it.

    `last_sequence` is the log's end. `corrected` names the incidents in which something was taken back.
    `first_spends` is by script the first transaction known to have spent from it.
    """

    terms: Terms
    last_sequence: int
    balances: Mapping[str, Balance]
    members: Mapping[bytes, Member]
    coins: Mapping[Outpoint, Coin]
    transactions: Mapping[Txid, KnownTransaction]
    corrected: frozenset[str] = frozenset()
    first_spends: Mapping[bytes, Txid] = field(default_factory=dict)
