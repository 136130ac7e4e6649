"""What was told, in the log file: coins that moved, treasuries that are not fresh, endpoints not reached.

Sources that come and go have lines of their own (`watcher.observe.tidings`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watcher.core.events import Event

log = logging.getLogger(__name__)

_MOST: Final = 20  # of one commit: a block may move thousands, and all of them are in the log of events
_MOST_ADDRESSES: Final = 5
_CONDITIONS: Final = {
    "treasury.stale": logging.WARNING,
    "treasury.fresh": logging.INFO,
    "endpoint.failed": logging.WARNING,
    "endpoint.recovered": logging.INFO,
}
_FACTS: Final = ("treasury", "endpoint", "reason")


def speak(events: Sequence[Event], *, with_addresses: bool) -> None:
    """Say what was committed; who it was only `with_addresses`, since a txid leads to them as well."""
    moved = [event for event in events if event.txid is not None]
    for event in moved[:_MOST]:
        facts: dict[str, object] = {
            "treasury": event.treasury,
            "flow": event.flow,
            "amount_sats": event.data["amount_sats"],
            "event": event.id,
        }
        if with_addresses:
            facts["txid"] = event.txid
            facts["addresses"] = ",".join(_addresses(event))
        log.info(event.type, extra=facts)
    if len(moved) > _MOST:
        log.info("and %d more in the log of events", len(moved) - _MOST)


def speak_of_conditions(events: Sequence[Event]) -> None:
    """Say what began or ended: of a treasury, or of an endpoint."""
    for event in events:
        if event.type in _CONDITIONS:
            facts = {key: event.data[key] for key in _FACTS if event.data.get(key) is not None}
            log.log(_CONDITIONS[event.type], event.type, extra={**facts, "event": event.id})


def _addresses(event: Event) -> Iterator[str]:
    """The treasury's own; of many the first, which moved most."""
    movements = event.data["movements"]
    assert isinstance(movements, list)
    named = [entry["address"] for entry in movements if entry["address"] is not None]
    yield from named[:_MOST_ADDRESSES]
    if len(named) > _MOST_ADDRESSES:
        yield "..."
