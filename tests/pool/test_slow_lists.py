"""A list too long for a server's limits: asked for piece by piece, and what it tells meanwhile is heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.pool.rig import QUICK, pool
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.sources.electrum import ElectrumSource

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum

SUBSCRIBE = "blockchain.scripthash.subscribe"
HISTORY = "blockchain.scripthash.get_history"
MANY = 3_000


async def test_a_movement_is_told_while_most_of_a_list_has_not_had_its_turn(
    servers: dict[str, ToyElectrum], chain: ToyChain, tmp_path: Path
) -> None:
    scripts = [b"\x00\x14" + n.to_bytes(20, "big") for n in range(MANY)]
    server = servers["a"]
    source = ElectrumSource(
        "a", server.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, backoff=QUICK, charges=True
    )
    async with pool(tmp_path, [source], scripts) as here:
        await here.happens(lambda: server.counts[SUBSCRIBE] > MANY // 2, "the first pieces", within=180)
        watch = here.watch
        await here.happens(lambda: 0 < len(watch.listing.unread) < MANY // 2, "they are read", within=180)
        told = next(s for s in scripts if scripthash(s) not in watch.listing.unread)
        chain.pay(told, 50_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow", within=180)
        assert server.counts[SUBSCRIBE] < MANY
        assert server.counts[HISTORY] < 10  # nothing is read that was not asked for
        assert not watch.complete
