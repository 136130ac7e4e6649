"""What all tests share. One that asks for a real part is marked `real` by that."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings

from tests.stack import fetch
from tests.stack.bitcoind import Node
from tests.stack.chain import Chain
from tests.stack.electrumx import ElectrumX
from tests.stack.receiver import Receiver
from tests.stack.regtest import Regtest, regtest
from tests.toy.patience import PATIENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


settings.register_profile("patient", PATIENT)
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before pytest selects by marker. What starts the daemon as a process takes seconds a test."""
    for item in items:
        if "daemon" in item.path.parent.parts:
            item.add_marker(pytest.mark.slow)
        if "stack_cache" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def stack_cache() -> fetch.Parts:
    """Both parts, fetched side by side by whichever worker comes first."""
    return fetch.parts()


@pytest_asyncio.fixture
async def node(stack_cache: fetch.Parts, tmp_path: Path) -> AsyncIterator[Node]:
    """A node of the test's own, without wallets or blocks."""
    async with Node(tmp_path / "node") as started:
        yield started
    _keep_only_logs(started.directory)


@pytest_asyncio.fixture
async def chain(node: Node) -> Chain:
    """The verbs, on the test's node; 130 blocks."""
    return await Chain.open(node)


@pytest_asyncio.fixture
async def electrumx(node: Node, chain: Chain) -> AsyncIterator[ElectrumX]:
    """An Electrum server on the test's chain, quick to look and without cost limits."""
    async with ElectrumX(node) as started:
        yield started
    _keep_only_logs(started.directory)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_regtest(
    stack_cache: fetch.Parts, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Regtest]:
    """One chain and server for a whole file of tests, which then see each other's blocks."""
    directory = tmp_path_factory.mktemp("regtest")
    async with regtest(directory) as started:
        yield started
    _keep_only_logs(directory)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of webhooks that verifies with `SECRET`."""
    async with Receiver() as listening:
        yield listening


def _keep_only_logs(directory: Path) -> None:
    """A chain takes 18 MB, and pytest keeps the folders of its last three runs."""
    for folder in [path for path in directory.rglob("*") if path.name in {"regtest", "db"} and path.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)  # one may lie in another


@pytest.fixture
def nobodys_port() -> Iterator[int]:
    """A port at which nobody listens, and nobody can begin to meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
