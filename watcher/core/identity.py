"""Ids that are derived from the story, so that two daemons, a rescan and a restore agree unasked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.types import BlockHash, Txid
    from watcher.core.known import Entry

VERSION: Final = 1  # of the canonical arrays; a change of their form changes it


def _digest(parts: list[object]) -> str:
    """Of compact JSON: the parts are numbers and names and hashes of plain ASCII, so it has one form."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]  # 128 bits


def transaction_event_id(
    network: Network,
    event_type: str,
    entry: Entry,
    *,
    block: BlockHash | None,
    by: Txid | None,
    rival_block: BlockHash | None,
) -> str:
    """The id of a `tx.*` event about `entry` as the event states it, with the correction that came before.

    `rival_block` stands in `tx.unconfirmed` alone: the block now at the height after the fork.
    """
    parts: list[object] = [
        VERSION, str(network), entry.treasury, entry.txid, event_type, str(entry.flow), entry.amount,
        block, by, entry.correction,
    ]  # fmt: skip
    if rival_block is not None:
        parts.append(rival_block)
    return f"evt_{_digest(parts)}"


def log_event_id(log: str, sequence: int) -> str:
    """The id of an event that is not about a transaction."""
    return f"evt_{_digest([VERSION, log, sequence])}"


def transaction_incident(network: Network, treasury: str, first: Txid) -> str:
    """The incident of a story, by the first transaction known of it."""
    return f"inc_{_digest([VERSION, str(network), treasury, first])}"


def condition_incident(network: Network, kind: str, subject: str) -> str:
    """The incident of a condition, shared by its firing and resolved side and by a second daemon."""
    return f"inc_{_digest([VERSION, str(network), kind, subject])}"
