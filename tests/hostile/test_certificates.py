"""Certificates that have ended, keys met first, and false ones met while a source is away."""

from __future__ import annotations

import logging
import ssl
import time
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.daemon.places import Place, fresh
from tests.pool.rig import pool
from tests.sources.conftest import QUICK
from tests.sources.test_electrum_tls import FILES, FINGERPRINT, server_context
from tests.stack.processes import until
from tests.toy.bells import running
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.networks import Network
from watcher.sources.base import Misbehaved, Unavailable
from watcher.sources.certificates import ends_at
from watcher.sources.dial import Authorities, FirstUse, Pin
from watcher.sources.electrum import ElectrumSource
from watcher.sources.esplora import EsploraSource
from watcher.sources.rest import Asking

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.sources.dial import Tls

EXPIRED = FILES / "expired.pem"
Toy: TypeAlias = type[ToyElectrum] | type[ToyEsplora]
BOTH = pytest.mark.parametrize("toy", [ToyElectrum, ToyEsplora])


def certificate_of(name: str) -> bytes:
    text = (FILES / name).read_text()
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") :])


def source_of(server: ToyElectrum | ToyEsplora, tls: Tls) -> ElectrumSource | EsploraSource:
    if isinstance(server, ToyElectrum):
        return ElectrumSource(
            "toy",
            server.url,
            Network.REGTEST,
            clock=time.time,
            draw=lambda: 0.5,
            backoff=QUICK,
            tls=tls,
        )
    return EsploraSource(
        "toy",
        server.url,
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        asking=Asking(every=0.02),
        tls=tls,
    )


def test_the_end_of_a_certificate_is_read_from_its_bytes() -> None:
    assert ends_at(certificate_of("expired.pem")) == 1_609_459_200  # 2021-01-01, in the short form of a year
    last = ends_at(certificate_of("server.pem"))  # 2126, in the long form
    assert last == ssl.cert_time_to_seconds("Oct 31 13:39:06 2126 GMT")


def test_what_is_no_certificate_has_no_end() -> None:
    whole = certificate_of("expired.pem")
    assert ends_at(b"") is None
    for size in range(len(whole)):
        assert ends_at(whole[:size]) is None


@BOTH
async def test_an_expired_certificate_whose_key_is_the_known_one_is_kept_and_said_once(
    toy: Toy, caplog: pytest.LogCaptureFixture
) -> None:
    pin = Pin(sha256(certificate_of("expired.pem")).digest())
    with caplog.at_level(logging.WARNING):
        async with toy(ToyChain(), tls=server_context("expired.pem")) as server:
            source = source_of(server, pin)
            async with running(source) as bells:
                await bells.until(lambda: bells.count("connected") == 1)
                assert (await source.tip()).block == server.chain.tip
                assert source.health().certificate_not_after == 1_609_459_200
                if isinstance(server, ToyElectrum):
                    server.disconnect_all()
                    await bells.until(lambda: bells.count("connected") == 2)
                for _ in range(3):
                    await source.tip()
    assert [one.getMessage() for one in caplog.records].count(
        "its certificate has expired, and its key is still the known one"
    ) == 1


@BOTH
async def test_an_expired_certificate_of_an_authority_is_not_accepted(toy: Toy) -> None:
    async with toy(ToyChain(), tls=server_context("expired.pem")) as server:
        async with running(source_of(server, Authorities(str(EXPIRED)))) as bells:
            await bells.until(lambda: bells.count("disconnected") > 0)
            assert isinstance(bells.ends[0], Unavailable)
            assert "certificate" in str(bells.ends[0]).lower()
        assert server.counts.total() == 0


@BOTH
async def test_the_first_key_is_kept_and_no_other_is_spoken_to(toy: Toy) -> None:
    met: list[bytes] = []
    key = FirstUse(None, met.append)
    chain = ToyChain()
    async with toy(chain, tls=server_context("server.pem")) as server:
        source = source_of(server, key)
        async with running(source) as bells:
            await bells.until(lambda: bells.count("connected") == 1)
            assert (await source.tip()).block == chain.tip
    assert met == [FINGERPRINT]
    async with toy(chain, tls=server_context("elsewhere.pem")) as other:
        async with running(source_of(other, key)) as bells:
            await bells.until(lambda: bells.count("disconnected") > 1)
            assert {(type(why), getattr(why, "reason", "")) for why in bells.ends} == {
                (Misbehaved, "certificate")
            }
        assert other.counts.total() == 0
    assert met == [FINGERPRINT]


@BOTH
async def test_a_false_key_met_while_the_source_is_away_is_a_strike_once(toy: Toy, tmp_path: Path) -> None:
    async with toy(ToyChain(), tls=server_context("elsewhere.pem")) as server:
        async with pool(tmp_path, [source_of(server, Pin(FINGERPRINT))], [b"\x51"], wanted=1) as here:
            await here.happens(lambda: bool(here.watch.conduct.strikes), "the strike")
            record = here.doorbells.errors["toy"]
            await here.happens(lambda: here.doorbells.errors["toy"] is not record, "another attempt")
            assert here.watch.conduct.strikes == {("toy", "certificate"): 1}
            assert not here.watch.quarantined()
        assert server.counts.total() == 0


async def test_a_changed_key_of_an_explorer_stops_it_until_it_is_trusted(tmp_path: Path) -> None:
    chain = ToyChain()
    port = 0
    async with ToyEsplora(chain, tls=server_context("server.pem")) as server:
        place = Place(tmp_path, {"home": server.url})
        config = place.config().replace('kind = "electrum"\n', 'kind = "esplora"\ntls = "tofu"\n')
        port = server.port
        async with place.daemon(config) as daemon:
            await fresh(daemon)
            assert await daemon.terminate() == 0
    other = ToyEsplora(chain, tls=server_context("elsewhere.pem"))
    other.port = port
    async with other, place.daemon(config) as daemon:

        async def struck() -> bool:
            labels = {"source": "home", "reason": "certificate"}
            return await daemon.metric("watcher_source_strikes_total", **labels) == 1

        await until(struck, within=90, what="the strike for the other key")
        assert other.counts.total() == 0
        outcome = await daemon.command("sources", "trust", "home")
        assert (outcome.code, outcome.err) == (0, "")
        await fresh(daemon)

        async def pinned() -> list[str]:
            return [e["data"]["reason"] for e in await daemon.events() if e["type"] == "source.pinned"]

        async def again() -> bool:
            return len(await pinned()) > 1

        # fresh it may be by what it read before the end
        await until(again, within=90, what="the other key")
        assert await pinned() == ["first_use", "first_use"]
