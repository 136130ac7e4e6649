"""A chain, a server of it, and a source that is connected to it."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio

from tests.toy.bells import Bells, running
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.networks import Network
from watcher.sources.backoff import Backoff
from watcher.sources.electrum import ElectrumSource
from watcher.sources.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from watcher.sources.dial import Tls

LONG = Limits()
QUICK = Backoff(floor=0.01, first=0.02, cap=0.05)


class Connect(Protocol):
    """Builds a running source."""

    def __call__(
        self,
        url: str,
        bells: Bells,
        *,
        network: Network = Network.REGTEST,
        limits: Limits = LONG,
        tls: Tls | None = None,
        up: bool = True,
    ) -> AbstractAsyncContextManager[ElectrumSource]: ...


@pytest.fixture
def chain() -> ToyChain:
    return ToyChain()


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest_asyncio.fixture
async def server(chain: ToyChain) -> AsyncIterator[ToyElectrum]:
    async with ToyElectrum(chain) as started:
        yield started


@asynccontextmanager
async def _connect(
    url: str,
    bells: Bells,
    *,
    network: Network = Network.REGTEST,
    limits: Limits = LONG,
    tls: Tls | None = None,
    up: bool = True,
) -> AsyncIterator[ElectrumSource]:
    source = ElectrumSource(
        "toy", url, network, clock=time.time, draw=lambda: 0.5, tls=tls, limits=limits, backoff=QUICK
    )
    async with running(source, bells, up=up):
        yield source


@pytest.fixture
def connect() -> Connect:
    return _connect


@pytest_asyncio.fixture
async def source(server: ToyElectrum, bells: Bells) -> AsyncIterator[ElectrumSource]:
    async with _connect(server.url, bells) as connected:
        yield connected
