"""Electrum's status hash: a whole history in 64 digits, so that equal hashes mean nothing to fetch."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.types import Txid


def status_hash(history: Sequence[tuple[Txid, int]]) -> str | None:
    """The status of a history in the server's order, or None for an empty one (electrum-protocol, "Status").

    Heights are Electrum's: 0 for unconfirmed, -1 for unconfirmed with an unconfirmed parent.
    """
    if not history:
        return None
    return sha256("".join(f"{txid}:{height}:" for txid, height in history).encode()).hexdigest()
