"""TLS: who is believed to be the server."""

from __future__ import annotations

import ssl
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.toy.electrum import ToyElectrum
from watcher.sources.base import Misbehaved, Unavailable
from watcher.sources.dial import Authorities, Pin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import Connect
    from tests.toy.bells import Bells
    from tests.toy.chain import ToyChain

FILES = Path(__file__).parents[1] / "toy" / "tls"
AUTHORITY = FILES / "authority.pem"
FINGERPRINT = sha256(ssl.PEM_cert_to_DER_cert(AUTHORITY.read_text())).digest()


def server_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / name)
    return context


@pytest.fixture
async def server(chain: ToyChain) -> AsyncIterator[ToyElectrum]:
    async with ToyElectrum(chain, tls=server_context("server.pem")) as started:
        yield started


async def test_a_certificate_an_authority_vouches_for_is_believed_and_its_end_known(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, tls=Authorities(str(AUTHORITY))) as source:
        assert (await source.tip()).block == server.chain.tip
        ends = source.health().certificate_not_after
        assert ends is not None
        assert ends > 4_000_000_000


async def test_a_pinned_certificate_is_believed_whoever_vouches(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, tls=Pin(FINGERPRINT)) as source:
        assert (await source.tip()).block == server.chain.tip


async def test_a_certificate_nobody_vouches_for_is_not_believed(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, tls=Authorities(), up=False):
        await bells.until(lambda: bells.count("disconnected") == 2)
        assert all(type(why) is Unavailable and "certificate" in str(why) for why in bells.ends)
        assert server.counts.total() == 0


async def test_a_certificate_of_another_host_is_not_believed(
    chain: ToyChain, bells: Bells, connect: Connect
) -> None:
    async with ToyElectrum(chain, tls=server_context("elsewhere.pem")) as server:
        own = Authorities(str(FILES / "elsewhere.pem"))
        async with connect(server.url, bells, tls=own, up=False):
            await bells.until(lambda: bells.count("disconnected") == 1)
            assert "certificate" in str(bells.ends[0])
            assert server.counts.total() == 0


async def test_a_certificate_that_is_not_the_pinned_one_is_a_strike_before_a_word_is_said(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, tls=Pin(bytes(32)), up=False):
        await bells.until(lambda: bells.count("disconnected") == 1)
        assert isinstance(bells.ends[0], Misbehaved)
        assert bells.ends[0].reason == "certificate"
        assert server.counts.total() == 0


async def test_a_server_without_tls_is_not_spoken_to_in_the_clear(
    chain: ToyChain, bells: Bells, connect: Connect
) -> None:
    async with ToyElectrum(chain) as server, connect(server.url.replace("tcp", "ssl"), bells, up=False):
        await bells.until(lambda: bells.count("disconnected") == 1)
        assert type(bells.ends[0]) is Unavailable
        assert str(bells.ends[0]).removeprefix("no connection: ")  # an error of the system's without a word
        assert server.counts.total() == 0
