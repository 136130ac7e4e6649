"""The log's events and the data they carry, in the shape that webhooks, API and stream share."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from watcher.bitcoin.addresses import encode_address
from watcher.core.instants import rfc3339_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.types import BlockRef, Sats, Txid
    from watcher.core.known import Flow
    from watcher.core.meaning import Destination, Meaning, Movement

Data: TypeAlias = dict[str, object]

LISTED: Final = 50  # movements and destinations told one by one; the rest as count and sum
# A body stays under 20 kB (receivers and our own queue count on it), though a label may have 500 characters,
# and a stranger's output 10,000 bytes of script: bytes for what is listed, enough for 50 with an address.
_MOVEMENTS_ROOM: Final = 8_000
_DESTINATIONS_ROOM: Final = 6_600
_COUNTERPARTIES_ROOM: Final = 2_000

RUNG_EVENTS: Final = frozenset({"tx.seen", "tx.confirmed", "tx.final"})
CORRECTIONS: Final = frozenset(
    {"tx.unconfirmed", "tx.replaced", "tx.dropped", "tx.conflicted", "tx.reclassified"}
)
# A later statement about the same transaction gets another id once one of these came between.
ID_BREAKS: Final = CORRECTIONS | {"tx.moved"}


class Event(msgspec.Struct, frozen=True):
    """One line of the log. `data` is the payload's, complete but for what belongs to a delivery.

    `correction` says that it takes something back or follows something that did; `critical` that it
    reverses what was final.
    """

    id: str
    sequence: int
    type: str
    at_ms: int
    treasury: str | None
    txid: Txid | None
    incident: str | None
    flow: Flow | None
    data: Data
    correction: bool = False
    critical: bool = False


def base(
    *, event_id: str, log: str, sequence: int, incident: str | None, network: Network, treasury: str | None
) -> Data:
    """The fields that every event has."""
    return {
        "id": event_id,
        "log": log,
        "sequence": sequence,
        "incident": incident,
        "network": str(network),
        "treasury": treasury,
    }


def sums(delta: tuple[Sats, Sats], balance: tuple[Sats, Sats] | None) -> Data:
    """`delta_sats` and `balance_sats`, (confirmed, pending) each; the balance is null before a baseline."""
    return {
        "delta_sats": {"confirmed": delta[0], "pending": delta[1]},
        "balance_sats": None if balance is None else {"confirmed": balance[0], "pending": balance[1]},
    }


def block_data(block: BlockRef, block_time: int | None) -> Data:
    """A block as events tell it; `time` is the miner's."""
    return {
        "height": block.height,
        "hash": block.hash,
        "time": None if block_time is None else rfc3339_seconds(block_time),
    }


def money_data(meaning: Meaning, network: Network, at_ms: int) -> Data:
    """What moved, from where, to whom."""
    data: Data = {
        "amount_sats": meaning.amount,
        "moved_sats": meaning.moved,
        "fee_sats": meaning.fee,
        "mixed": meaning.mixed,
    }
    movements = sorted(meaning.movements, key=lambda m: (-abs(m.amount), m.member.scripthash))
    told = listed(map(_movement, movements), _MOVEMENTS_ROOM)
    data["movements"] = told
    if len(movements) > len(told):
        data["movements_omitted"] = _omitted([m.amount for m in movements[len(told) :]])
    destinations = sorted(meaning.destinations, key=lambda d: (-d.output.sats, d.output.script_pubkey))
    told = listed((_destination(d, network) for d in destinations), _DESTINATIONS_ROOM)
    data["destinations"] = told
    if len(destinations) > len(told):
        data["destinations_omitted"] = _omitted([d.output.sats for d in destinations[len(told) :]])
    others = ({"treasury": name, "amount_sats": amount} for name, amount in meaning.counterparties)
    data["counterparties"] = listed(others, _COUNTERPARTIES_ROOM)
    oldest = meaning.oldest_coin_time
    data["oldest_coin_days"] = None if oldest is None else max(0, at_ms // 1000 - oldest) // 86_400
    data["first_spend"] = meaning.first_spend
    return data


def listed(entries: Iterable[Mapping[str, object]], room: int) -> list[Mapping[str, object]]:
    """The first entries, at most 50, that take no more than `room` bytes as JSON."""
    told: list[Mapping[str, object]] = []
    for entry in islice(entries, LISTED):
        room -= len(msgspec.json.encode(entry)) + 1
        if room < 0:
            break
        told.append(entry)
    return told


def _movement(movement: Movement) -> Mapping[str, object]:
    member = movement.member
    return {"label": member.label, "address": member.address, "amount_sats": movement.amount}


def _destination(destination: Destination, network: Network) -> Mapping[str, object]:
    output = destination.output
    address = encode_address(output.script_pubkey, network)
    told: Data = {"address": address, "label": destination.label, "amount_sats": output.sats}
    if address is None:
        told["script_pubkey"] = output.script_pubkey[:520].hex()
    return told


def _omitted(amounts: Sequence[Sats]) -> Mapping[str, int]:
    return {"count": len(amounts), "amount_sats": sum(amounts)}
