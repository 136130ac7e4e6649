"""Explorers, which announce nothing: what they have said is said of the block at which they were asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.pool.rig import QUICK, TREASURY, pool
from tests.toy.esplora import ToyEsplora
from tests.toy.keys import Key
from watcher.bitcoin.networks import Network
from watcher.sources.esplora import EsploraSource
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain

SATS = 50_000
PIECES = 20


def explorer(name: str, server: ToyEsplora) -> EsploraSource:
    """One whose budget lets a list of twenty be asked for in as many turns."""
    asking = Asking(budget=((60, 1.0),), every=0.05)
    return EsploraSource(
        name,
        server.url,
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        asking=asking,
    )


async def test_no_block_is_claimed_complete_before_every_script_was_asked_for_at_it(
    chain: ToyChain, tmp_path: Path
) -> None:
    chain.mine(PIECES + 10)
    keys = [Key(7 + i) for i in range(PIECES)]
    async with ToyEsplora(chain) as one, ToyEsplora(chain) as two:
        sources = [explorer("one", one), explorer("two", two)]
        async with pool(tmp_path, sources, [key.script for key in keys]) as here:
            await here.baselined()
            assert here.watch.bound_seconds(TREASURY) > 0.2
            for key in keys:
                chain.pay(key.script, SATS)
            chain.mine()
            await here.happens(lambda: here.watch.tip == chain.tip, "the block")
            was_behind = 0
            while here.balance[0] < PIECES * SATS:
                await here.sweep()
                if here.watch.complete[TREASURY].block == chain.tip:
                    break
                was_behind += 1
                assert here.watch.fresh_sources() == ("one", "two")
            await here.happens_by_sweeping(
                lambda: here.watch.complete[TREASURY].block == chain.tip, "complete at the block"
            )
            assert here.balance == (PIECES * SATS, 0)
            assert was_behind
