"""A small ledger, the daemon behind it, and both its doors."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio

from tests.web.small_ledger import SmallLedger, StillDaemon
from watcher.web.access import Guarded
from watcher.web.server import DEFAULT_CONNECTIONS, Bound, serving
from watcher.web.stream import DEFAULT_LIMITS, StreamLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from watcher.web.connections import ConnectionLimits

    Open = Callable[..., AbstractAsyncContextManager[Bound]]


OPEN = Guarded()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SmallLedger]:
    small = SmallLedger(tmp_path)
    small.fill()
    yield small
    small.connection.close()


@pytest_asyncio.fixture
async def daemon(ledger: SmallLedger) -> AsyncIterator[StillDaemon]:
    still = StillDaemon(ledger)
    yield still
    await still.reader.close()


@pytest.fixture
def serve(daemon: StillDaemon, tmp_path: Path) -> Open:
    """Opens both doors; the guarded one as told."""

    @asynccontextmanager
    async def opened(
        door: Guarded = OPEN,
        listen: str = "127.0.0.1:0",
        limits: StreamLimits = DEFAULT_LIMITS,
        connection_limits: ConnectionLimits = DEFAULT_CONNECTIONS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[Bound]:
        control = tmp_path / "control.sock"
        async with serving(
            daemon,
            listen=listen,
            door=door,
            control=control,
            monotonic=monotonic,
            limits=limits,
            connection_limits=connection_limits,
        ) as bound:
            yield bound

    return opened


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120), trust_env=False) as session:
        yield session
