"""A server whose key is trusted on first use: remembered, refused when it changes, exchanged by hand."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.daemon.places import Place, fresh
from tests.stack.processes import until
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon

FILES = Path(__file__).parents[1] / "toy" / "tls"


def context(name: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(FILES / name)
    return made


def trusting(place: Place) -> str:
    return place.config().replace('kind = "electrum"\n', 'kind = "electrum"\ntls = "tofu"\n')


async def pinned(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """So many keys, as the log has them."""

    async def there() -> list[dict[str, Any]]:
        found = [event["data"] for event in await daemon.events() if event["type"] == "source.pinned"]
        return found if len(found) >= count else []

    return await until(there, within=60, what=f"{count} keys")


async def is_up(daemon: Daemon) -> None:
    """Until the only source is connected."""

    async def up() -> bool:
        (source,) = (await daemon.get("/api/v1/sources")).json()["sources"]
        return bool(source["up"])

    await until(up, within=60, what="a source that is up")


async def test_a_changed_key_stops_the_source_until_it_is_trusted(tmp_path: Path) -> None:
    chain = ToyChain()
    async with ToyElectrum(chain, tls=context("server.pem")) as server:
        place = Place(tmp_path, {"home": server.url})
        async with place.daemon(trusting(place)) as daemon:
            await fresh(daemon)
            (first,) = await pinned(daemon, 1)
            assert (first["source"], first["reason"]) == ("home", "first_use")
            port = server.port
            await server.stop()
            other = ToyElectrum(chain, tls=context("elsewhere.pem"))
            other.port = port
            async with other:

                async def refused() -> bool:
                    source = (await daemon.get("/api/v1/sources")).json()["sources"][0]
                    return not source["up"] and "not the known one" in (source["last_error"] or "")

                await until(refused, within=60, what="the other key refused")
                outcome = await daemon.command("sources", "trust", "home")
                assert (outcome.code, outcome.err) == (0, "")
                await fresh(daemon)
                second = (await pinned(daemon, 2))[1]
                assert second["fingerprint"] != first["fingerprint"]
            await server.start()  # the fixture's own end stops it once more


async def test_a_key_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with ToyElectrum(ToyChain(), tls=context("server.pem")) as server:
        place = Place(tmp_path, {"home": server.url})
        async with place.daemon(trusting(place)) as daemon:
            (first,) = await pinned(daemon, 1)
            await daemon.restart()
            await is_up(daemon)  # by its ledger it is fresh before that
            assert await pinned(daemon, 1) == [first]
            shown = await daemon.command("sources", "list")
            assert (shown.code, f"  up  pin {first['fingerprint']}\n" in shown.out) == (0, True), shown.out
            wrong = await daemon.command("sources", "trust", "home", "--fingerprint", "sha256:" + "00" * 32)
            assert wrong.code == 0
            assert (await pinned(daemon, 2))[1]["reason"] == "operator"
            assert await daemon.terminate() == 0
            alone = await daemon.command("sources", "list")  # what the ledger knows, where no daemon runs
            assert (alone.code, alone.err) == (0, "")
            assert alone.out.startswith("home ")
            assert f"down (no daemon runs)  pin sha256:{'00' * 32}\n" in alone.out


async def test_only_such_a_source_is_trusted_by_its_key(tmp_path: Path) -> None:
    async with ToyElectrum(ToyChain()) as server, Place(tmp_path, {"home": server.url}).daemon() as daemon:
        await fresh(daemon)
        outcome = await daemon.command("sources", "trust", "home")
        assert (outcome.code, 'tls = "tofu"' in outcome.err) == (2, True)
        released = await daemon.command("sources", "release", "home", "--reason", "looked at it")
        assert (released.code, released.out) == (0, "home: was not in quarantine\n")
        listed = await daemon.command("sources", "list")
        assert (listed.code, listed.out.split()[0]) == (0, "home")
        missing = await daemon.command("sources", "release", "none", "--reason", "why not")
        assert (missing.code, "no source of this name" in missing.err) == (2, True)
