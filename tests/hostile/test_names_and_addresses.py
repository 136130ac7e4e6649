"""Names that do not resolve, or lead to the dead or to somebody else."""

from __future__ import annotations

import socket
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sources.conftest import QUICK
from tests.sources.test_electrum_tls import FINGERPRINT, server_context
from tests.toy.bells import running
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.networks import Network
from watcher.sources.base import Misbehaved, Unavailable
from watcher.sources.dial import Pin
from watcher.sources.electrum import ElectrumSource
from watcher.sources.esplora import EsploraSource
from watcher.sources.limits import Limits
from watcher.sources.names import Names
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from watcher.sources.dial import Tls
    from watcher.sources.names import Found

NAME = "server.example"


class Resolver:
    """Answers with these ports of 127.0.0.1, in this order; with none it fails as a resolver does."""

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[Found]:
        assert host == NAME
        assert port > 0
        self.asked += 1
        if not self.ports:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", one))
            for one in self.ports
        ]


@contextmanager
def dead() -> Iterator[int]:
    """A port at which connections are neither accepted nor refused: the queue of them is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        try:
            for _ in range(3):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(listening.getsockname())
                waiting.append(one)
            yield listening.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def electrum(resolver: Resolver, port: int, tls: Tls | None = None) -> ElectrumSource:
    return ElectrumSource(
        "toy",
        f"{'tcp' if tls is None else 'ssl'}://{NAME}:{port}",
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        limits=Limits(connect=20),
        tls=tls,
        names=Names(resolver),
    )


def explorer(resolver: Resolver, port: int, tls: Tls | None = None) -> EsploraSource:
    return EsploraSource(
        "toy",
        f"{'http' if tls is None else 'https'}://{NAME}:{port}/api",
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        asking=Asking(every=0.02),
        tls=tls,
        names=Names(resolver),
    )


async def test_a_dead_address_before_a_live_one_costs_a_moment_and_not_a_time_out() -> None:
    async with ToyElectrum(ToyChain()) as server:
        with dead() as nowhere:
            source = electrum(Resolver(nowhere, server.port), server.port)
            async with running(source) as bells:
                await bells.until(lambda: bells.count("connected") == 1)
                assert bells.count("disconnected") == 0
                assert (await source.tip()).block == server.chain.tip


async def test_a_dead_address_alone_is_unavailable() -> None:
    with dead() as nowhere:
        source = ElectrumSource(
            "toy",
            f"tcp://{NAME}:{nowhere}",
            Network.REGTEST,
            clock=time.time,
            draw=lambda: 0.5,
            backoff=QUICK,
            limits=Limits(connect=0.3),
            names=Names(Resolver(nowhere)),
        )
        async with running(source) as bells:
            await bells.until(lambda: bells.count("disconnected") > 0)
            assert isinstance(bells.ends[0], Unavailable)


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    async with running(electrum(Resolver(), 1)) as bells:
        await bells.until(lambda: bells.count("disconnected") > 1)
        assert {type(why) for why in bells.ends} == {Unavailable}
    async with running(explorer(Resolver(), 1)) as bells:
        await bells.until(lambda: bells.count("disconnected") > 1)
        assert {type(why) for why in bells.ends} == {Unavailable}


async def test_while_the_resolver_fails_the_address_that_last_worked_is_used() -> None:
    async with ToyElectrum(ToyChain()) as server:
        resolver = Resolver(server.port)
        source = electrum(resolver, server.port)
        async with running(source) as bells:
            await bells.until(lambda: bells.count("connected") == 1)
            resolver.ports = ()
            server.disconnect_all()
            await bells.until(lambda: bells.count("connected") == 2)
            assert resolver.asked == 2
            assert source.reached_at == "127.0.0.1"


async def test_while_the_resolver_fails_an_explorer_is_reached_where_it_last_was() -> None:
    chain = ToyChain()
    server = ToyEsplora(chain)
    async with server:
        port = server.port
        names = Names(Resolver(port))
        async with _greeted(names, port):
            pass
    async with server:
        failing = Names(Resolver())
        failing.worked((names.address, port))
        async with _greeted(failing, port) as source:
            assert (await source.tip()).block == chain.tip


@asynccontextmanager
async def _greeted(names: Names, port: int) -> AsyncIterator[EsploraSource]:
    source = EsploraSource(
        "toy",
        f"http://{NAME}:{port}/api",
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        names=names,
    )
    async with running(source) as bells:
        await bells.until(lambda: bells.count("connected") == 1)
        yield source


@pytest.mark.parametrize("kind", ["electrum", "explorer"])
async def test_a_name_that_leads_to_somebody_else_is_found_out_by_the_pin_and_not_remembered(
    kind: str,
) -> None:
    chain = ToyChain()
    toy = ToyElectrum if kind == "electrum" else ToyEsplora
    build = electrum if kind == "electrum" else explorer
    async with (
        toy(chain, tls=server_context("server.pem")) as honest,
        toy(chain, tls=server_context("elsewhere.pem")) as other,
    ):
        resolver = Resolver(other.port)
        source = build(resolver, honest.port, Pin(FINGERPRINT))
        async with running(source) as bells:
            await bells.until(lambda: bells.count("disconnected") > 1)
            assert {type(why) for why in bells.ends} == {Misbehaved}
            assert source.reached_at is None
            assert other.counts.total() == 0
            resolver.ports = (honest.port,)
            if kind == "explorer":  # its client keeps a resolver's answer for a minute
                return
            await bells.until(lambda: bells.count("connected") == 1)
            assert source.reached_at == "127.0.0.1"
