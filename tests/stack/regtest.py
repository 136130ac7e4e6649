"""Node, chain and Electrum server together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.stack import fetch
from tests.stack.bitcoind import Node
from tests.stack.chain import Chain
from tests.stack.electrumx import ElectrumX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Regtest:
    """A private chain with its server; none of it is bound to an event loop."""

    node: Node
    chain: Chain
    electrumx: ElectrumX


@asynccontextmanager
async def regtest(directory: Path) -> AsyncIterator[Regtest]:
    """Everything started and at one tip; killed at the end. `directory` holds data and logs."""
    await asyncio.to_thread(fetch.parts)  # both at once, where each alone would wait for the other
    async with Node(directory / "node") as node:
        chain = await Chain.open(node)
        async with ElectrumX(node) as electrumx:
            chain.servers.append(electrumx)
            yield Regtest(node, chain, electrumx)
