"""What was observed: facts with their proof, as `watcher.observe` hands them to `reconcile`.

Nothing here is a claim any more. A confirmed sighting has been hashed, its branch folded and its header
found on our chain; an unconfirmed one has the quorum (or a verified signature) behind it; a reading says
that the quorum answered for a script, fresh, at `Observation.tip`. What is not known is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import BlockHash, BlockRef, Outpoint, Position, ScriptHash, Txid


class Trust(StrEnum):
    """How sure a transaction is: the word of one, the word of two or of a trusted one, or a proof."""

    REPORTED = "reported"
    CORROBORATED = "corroborated"
    PROVEN = "proven"


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """A transaction and where it is.

    `siblings` is the Merkle branch (confirmed only), `block_time` the miner's, in seconds. `parents`
    holds outputs this transaction spends as far as they are known from hash-checked bytes; it lets a
    fee be computed that is not ours alone.
    """

    tx: Transaction
    position: Position
    trust: Trust
    sources: tuple[str, ...]
    block_time: int | None = None
    siblings: tuple[str, ...] = ()
    parents: Mapping[Outpoint, TxOutput] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The complete history of one script: all that is on it, and so also what is not.

    `status` is Electrum's hash of that history.
    """

    scripthash: ScriptHash
    txids: frozenset[Txid]
    status: str | None


@dataclass(frozen=True, slots=True)
class ChainChange:
    """Our chain moved: from `old_tip` back to `fork` (the last block of both) and on along `headers`.

    The times are those in the headers of the two blocks, in seconds; None where the header is not held.
    """

    fork: BlockRef
    old_tip: BlockRef
    new_tip: BlockRef
    headers: tuple[bytes, ...]
    first: BlockHash  # of headers[0], the block now at fork.height + 1
    fork_time: int | None = None
    old_tip_time: int | None = None

    @property
    def depth(self) -> int:
        """How many blocks left our chain; 0 where it only grew."""
        return self.old_tip.height - self.fork.height


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the world.

    `at_ms` is when we knew. `tip` is our chain's tip, at which every reading holds. Blocks up to height
    `caught_up_from` were mined before this watch had seen the tip: what is first known in one of them
    is told late. `pieces` are what was read so far of histories that are too long to be read at once.
    """

    at_ms: int
    tip: BlockRef
    chain: ChainChange | None = None
    sightings: Mapping[Txid, Sighting] = field(default_factory=dict)
    readings: Mapping[ScriptHash, Reading] = field(default_factory=dict)
    caught_up_from: int = -1
    pieces: Mapping[ScriptHash, frozenset[Txid]] = field(default_factory=dict)
