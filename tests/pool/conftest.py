"""Three servers of one chain, and a key that the treasury has."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from tests.toy.keys import Key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def chain() -> ToyChain:
    return ToyChain()


@pytest.fixture
def key() -> Key:
    return Key(7)


@pytest_asyncio.fixture
async def servers(chain: ToyChain) -> AsyncIterator[dict[str, ToyElectrum]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(ToyElectrum(chain)) for name in ("a", "b", "c")}
