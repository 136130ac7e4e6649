"""Electrum's status hash: a whole history in 64 digits, so that equal hashes mean nothing to fetch."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.bitcoin.types import Txid

_AT_ONCE: Final = 1_000  # lines: a history may have a hundred thousand


def status_hash(history: Iterable[tuple[Txid, int]]) -> str | None:
    """The status of a history in the server's order, or None for an empty one (electrum-protocol, "Status").

    Heights are Electrum's: 0 for unconfirmed, -1 for unconfirmed with an unconfirmed parent.
    """
    digest = None
    lines = (f"{txid}:{height}:" for txid, height in history)
    while part := "".join(islice(lines, _AT_ONCE)):
        digest = digest or sha256()
        digest.update(part.encode())
    return None if digest is None else digest.hexdigest()
