"""A history that is longer than an explorer's budget lets out together: read as the budget lets it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.pool.rig import QUICK, TREASURY, electrum, pool
from tests.toy.chain import FAUCET, ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from tests.toy.keys import Key
from tests.toy.toxic import Toxic
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Outpoint
from watcher.ledger.verify import verify
from watcher.observe import slices
from watcher.sources.esplora import EsploraSource
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

    from tests.pool.rig import Pool

BUSY = b"\x52\x20" + b"\x01" * 32
MANY = 120  # transactions, each of two questions; with the pages three times what may go out together
A_BLOCK = 4
SATS = 1_000
REQUESTS, SECONDS = 240, 4.0
RAW = "tx/*/hex"
TRANSACTION = "blockchain.transaction.get"


@pytest.fixture
def chain() -> ToyChain:
    chain = ToyChain()
    coin = next(coin for coin in chain.unspent(FAUCET) if chain.height_of(coin.txid) == 1)
    fan = chain.know(Tx((coin,), ((FAUCET, 2 * SATS),) * MANY))
    chain.mine(1, [fan])
    paid = [chain.know(Tx((Outpoint(fan, vout),), ((BUSY, SATS),))) for vout in range(MANY)]
    for at in range(0, MANY, A_BLOCK):
        chain.mine(1, paid[at : at + A_BLOCK])
    return chain


class Strict(ToyEsplora):
    """Notes when it is asked."""

    def __init__(self, chain: ToyChain) -> None:
        super().__init__(chain)
        self.times: list[float] = []

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.times.append(time.monotonic())
        return await super()._answer(request)

    @property
    def allowed(self) -> float:
        """How many requests there may have been until the last: a quarter at once, the rest spread evenly.

        Over all of the time: what a busy machine holds up comes together, and is none too many.
        """
        at_once = REQUESTS // 4
        return at_once + (REQUESTS - at_once + 1) / SECONDS * (self.times[-1] - self.times[0]) + 1


@pytest_asyncio.fixture
async def explorer(chain: ToyChain) -> AsyncIterator[Strict]:
    async with Strict(chain) as server:
        yield server


def source(server: ToyEsplora) -> EsploraSource:
    asking = Asking(budget=((REQUESTS, SECONDS),), every=0.1, patience=SECONDS / 120)
    return EsploraSource(
        "explorer",
        server.url,
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        asking=asking,
    )


@asynccontextmanager
async def swept(here: Pool) -> AsyncIterator[None]:
    """The timer rings meanwhile, as the daemon's does."""

    async def ring() -> None:
        while True:
            await asyncio.sleep(0.3)
            here.doorbells.sweep()

    timer = asyncio.create_task(ring())
    try:
        yield
    finally:
        timer.cancel()


async def test_it_is_read_within_the_budget(explorer: Strict, tmp_path: Path) -> None:
    async with pool(tmp_path, [source(explorer)], [BUSY]) as here, swept(here):
        await here.baselined()
        assert here.balance == (MANY * SATS, 0)
        assert 3 * REQUESTS / 4 < len(explorer.times) <= explorer.allowed
        assert (await here.writer.run(verify)).failures == []


async def test_a_stop_loses_a_slice_at_most(
    explorer: Strict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SECONDS_A_SLICE", 0.5)
    size = slices.a_slice(source(explorer).sweep_seconds(1))
    assert size < MANY // 4
    async with pool(tmp_path, [source(explorer)], [BUSY]) as here:
        await here.happens(lambda: explorer.counts[RAW] > MANY // 2, "half of it")
        assert not here.told("watch.baselined")
    async with pool(tmp_path, [source(explorer)], [BUSY]) as here, swept(here):
        await here.baselined()
        assert here.balance == (MANY * SATS, 0)
    assert explorer.counts[RAW] <= MANY + size + A_BLOCK


async def test_what_others_get_meanwhile_is_told_meanwhile(
    explorer: Strict, chain: ToyChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SECONDS_A_SLICE", 0.5)
    quiet = Key(7).script
    learns = {"explorer": ("quiet", "busy")}
    sources = [source(explorer)]
    async with pool(tmp_path, sources, {"quiet": [quiet]}, learns=learns) as here, swept(here):
        await here.happens(lambda: "quiet" in here.watch.complete, "the quiet one")
        before = explorer.counts[RAW]
        await here.relisted({"quiet": [quiet], "busy": [BUSY]})
        await here.happens(lambda: explorer.counts[RAW] > before + 10, "the reading")
        chain.pay(quiet, 50_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the payment")
        assert not [event for event in here.told("watch.baselined") if event.treasury == "busy"]
        await here.happens(lambda: len(here.told("watch.baselined")) == 2, "the rest of the reading")


async def test_a_faster_source_does_not_wait_for_it(
    explorer: Strict, chain: ToyChain, tmp_path: Path
) -> None:
    async with ToyElectrum(chain) as server, Toxic(server.port) as way:
        way.stalled = True
        sources = [source(explorer), *electrum({"server": way})]
        async with pool(tmp_path, sources, [BUSY], wanted=1) as here:
            await here.happens(lambda: explorer.counts[RAW] > 5, "the slow one's reading")
            way.stalled = False
            way.reset()
            await here.happens(lambda: TREASURY in here.watch.complete, "all of it")
            assert server.counts[TRANSACTION] > MANY // 2
            assert explorer.counts[RAW] < MANY
