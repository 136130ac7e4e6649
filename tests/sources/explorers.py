"""Builds a running source that asks an explorer."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.toy.bells import running
from watcher.bitcoin.networks import Network
from watcher.sources.backoff import Backoff
from watcher.sources.esplora import EsploraSource
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.toy.bells import Bells
    from watcher.sources.dial import Tls

QUICK = Backoff(floor=0.01, first=0.02, cap=0.05)
OFTEN = Asking(every=0.02)
SELDOM = Asking(every=3_600.0)  # only what the test asks is asked


@asynccontextmanager
async def connected(
    url: str,
    bells: Bells,
    *,
    kind: type[EsploraSource] = EsploraSource,
    network: Network = Network.REGTEST,
    asking: Asking = SELDOM,
    tls: Tls | None = None,
    up: bool = True,
) -> AsyncIterator[EsploraSource]:
    source = kind(
        "toy", url, network, clock=time.time, draw=lambda: 0.5, tls=tls, asking=asking, backoff=QUICK
    )
    async with running(source, bells, up=up):
        yield source
