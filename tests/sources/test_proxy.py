"""Through a SOCKS5 proxy or not at all: a proxy that can be looked at, on a real socket."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.sources.conftest import QUICK
from tests.stack.processes import until
from tests.toy.bells import running
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.networks import Network
from watcher.sources.base import Unavailable
from watcher.sources.electrum import ElectrumSource
from watcher.sources.esplora import EsploraSource
from watcher.sources.proxy import Socks
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class ToySocks:
    """RFC 1928 and 1929, as far as Tor speaks it; all names lead to 127.0.0.1.

    `asked` has (user, password, host, port) of each connection, the host as it was given.
    """

    asked: list[tuple[str, str, str, int]] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _, methods = await reader.readexactly(2)
            assert 2 in await reader.readexactly(methods)
            writer.write(b"\x05\x02")
            user = await reader.readexactly((await reader.readexactly(2))[1])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(b"\x01\x00")
            assert await reader.readexactly(4) == b"\x05\x01\x00\x03"  # connect, by a name
            host = await reader.readexactly((await reader.readexactly(1))[0])
            (port,) = struct.unpack(">H", await reader.readexactly(2))
            self.asked.append((user.decode(), password.decode(), host.decode(), port))
            there, back = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01" + struct.pack(">H", port))
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    try:
        while content := await source.read(1 << 16):
            to.write(content)
            await to.drain()
    finally:
        to.close()


@asynccontextmanager
async def socks() -> AsyncIterator[ToySocks]:
    toy = ToySocks()
    server = await asyncio.start_server(toy.serve, "127.0.0.1", 0)
    toy.port = server.sockets[0].getsockname()[1]
    try:
        yield toy
    finally:
        server.close()


def electrum(url: str, proxy: Socks) -> ElectrumSource:
    return ElectrumSource(
        "tor", url, Network.REGTEST, clock=lambda: 0.0, draw=lambda: 0.5, backoff=QUICK, proxy=proxy
    )


async def is_up(source: ElectrumSource | EsploraSource) -> None:
    async def up() -> bool:
        return source.health().up

    await until(up, within=60, what="a connection")


async def test_an_electrum_server_is_reached_by_its_name_and_on_a_circuit_of_its_own() -> None:
    async with ToyElectrum(ToyChain()) as server, socks() as proxy:
        source = electrum(f"tcp://electrum.example:{server.port}", Socks("127.0.0.1", proxy.port, "tor"))
        async with running(source):
            await is_up(source)
            assert (await source.tip()).block == server.chain.tip
        assert proxy.asked == [("treasury-watcher", "tor", "electrum.example", server.port)]


async def test_an_explorer_too() -> None:
    async with ToyEsplora(ToyChain()) as server, socks() as proxy:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        url = server.url.replace("127.0.0.1", "explorer.example")
        asking = Asking(proxy=Socks("127.0.0.1", proxy.port, "tor", "me", "secret"))
        source = EsploraSource(
            "tor", url, Network.REGTEST, clock=lambda: 0.0, draw=lambda: 0.5, backoff=QUICK, asking=asking
        )
        async with running(source):
            await is_up(source)
            assert (await source.tip()).block == server.chain.tip
        assert set(proxy.asked) == {("me", "secret", "explorer.example", port)}


async def test_without_its_proxy_the_server_is_never_reached(nobodys_port: int) -> None:
    async with ToyElectrum(ToyChain()) as server:
        source = electrum(server.url, Socks("127.0.0.1", nobodys_port, "tor"))
        async with running(source):

            async def failed() -> bool:
                return source.health().last_reason == "unavailable"

            await until(failed, within=60, what="a failure")
            with pytest.raises(Unavailable):
                await source.tip()
        assert server.connections == 0
        assert "through the proxy" in (source.health().last_error or "")
