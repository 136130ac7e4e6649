"""Toy servers, and a daemon that several tests of a file look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def toy() -> AsyncIterator[ToyElectrum]:
    """An honest server on a short chain."""
    async with ToyElectrum(ToyChain()) as server:
        yield server
