"""Announcing a movement: an event for whoever would be told of it, and what to recognise it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.bitcoin.addresses import encode_address
from watcher.core.events import LISTED
from watcher.core.instants import rfc3339
from watcher.core.journal import Journal
from watcher.ledger.commit import tell
from watcher.ledger.expectations import keep
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3

    from watcher.core.events import Data
    from watcher.ledger.commit import Committed, Settings
    from watcher.ledger.expectations import Announcement


def announce(
    connection: sqlite3.Connection,
    settings: Settings,
    announced: Announcement,
    *,
    reason: str,
    by: str,
    at_ms: int,
) -> Committed:
    """Tell that a movement is to come; outflows that match it are told as expected from now on."""
    network = settings.terms.network
    addresses = [encode_address(script, network) for script in announced.scripts[:LISTED]]
    data: Data = {
        "to": addresses,
        "max_sats": announced.most,
        "until": rfc3339(announced.until_ms),
        "reason": reason,
        "by": by,
    }
    if len(announced.scripts) > LISTED:
        data["to_omitted"] = {"count": len(announced.scripts) - LISTED}
    journal = Journal(bare(connection, settings.terms), at_ms)
    event = journal.other("movement.expected", data, treasury=announced.treasury)
    committed = tell(connection, settings, (event,), (), at_ms)
    keep(connection, announced, event.sequence)
    return committed
