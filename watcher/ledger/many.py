"""Many values as one parameter, for SQLite's `json_each`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.bitcoin.types import Outpoint


def as_list(values: Iterable[str | int]) -> str:
    """Each a `value`."""
    return msgspec.json.encode(list(values)).decode()


def as_pairs(outpoints: Iterable[Outpoint]) -> str:
    """Txids as `key`, which may come twice, and outputs as `value`."""
    pairs = [f'"{txid}":{vout}' for txid, vout in outpoints]
    return f"{{{','.join(pairs)}}}"
