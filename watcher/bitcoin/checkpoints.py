"""Points of the main chain that come with the package, one at the end of each 2016-block period."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from watcher.bitcoin.headers import PERIOD
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import BlockHash


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The block that ends a period, and the target in force in the next one."""

    height: int
    hash: BlockHash
    next_target: int


@cache
def checkpoints(network: Network) -> tuple[Checkpoint, ...]:
    """All checkpoints by rising height, entry i at height 2016 * (i + 1) - 1; only mainnet has any."""
    if network is not Network.MAINNET:
        return ()
    entries = json.loads(files("watcher.bitcoin").joinpath("data/mainnet_checkpoints.json").read_bytes())
    return tuple(
        Checkpoint(PERIOD * (index + 1) - 1, BlockHash(block_hash), target)
        for index, (block_hash, target) in enumerate(entries)
    )
