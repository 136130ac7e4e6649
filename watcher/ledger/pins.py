"""The certificates that servers showed first, of sources whose key is trusted on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.identity import condition_incident
from watcher.core.journal import Journal
from watcher.ledger.commit import tell
from watcher.ledger.restate import bare

if TYPE_CHECKING:
    import sqlite3

    from watcher.ledger.commit import Committed, Settings

FIRST_USE = "first_use"
OPERATOR = "operator"


def pins(connection: sqlite3.Connection) -> dict[str, bytes]:
    """By source, the SHA-256 of the certificate it is known by."""
    rows = connection.execute("SELECT source, fingerprint FROM pins")
    return {row["source"]: bytes.fromhex(row["fingerprint"]) for row in rows}


def pin(
    connection: sqlite3.Connection,
    settings: Settings,
    source: str,
    fingerprint: bytes,
    reason: str,
    at_ms: int,
) -> Committed:
    """Know the source by this certificate from now on, and tell it."""
    connection.execute(
        "INSERT OR REPLACE INTO pins (source, fingerprint, at_ms) VALUES (?, ?, ?)",
        (source, fingerprint.hex(), at_ms),
    )
    journal = Journal(bare(connection, settings.terms), at_ms)
    event = journal.other(
        "source.pinned",
        {"source": source, "reason": reason, "fingerprint": f"sha256:{fingerprint.hex()}"},
        incident=condition_incident(settings.terms.network, "source", source),
    )
    return tell(connection, settings, (event,), (), at_ms)


def unpin(connection: sqlite3.Connection, source: str) -> None:
    """Forget it: the next certificate is the first."""
    connection.execute("DELETE FROM pins WHERE source = ?", (source,))
