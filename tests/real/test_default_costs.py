"""An ElectrumX with its default cost limits and a thousand scripts: never throttled, never disconnected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.stack.daemon import Daemon
from tests.stack.electrumx import ElectrumX
from tests.stack.processes import free_port, until
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.bitcoind import Node
    from tests.stack.chain import Chain

SCRIPTS = 1_000
MORE_THAN_FIT = 3_500


def config(url: str) -> str:
    return f"""network = "regtest"
state_directory = "state"
[http]
listen = "127.0.0.1:{free_port()}"
[quorum]
sources = 1
[[sources]]
name = "public"
kind = "electrum"
url = "{url}"
[[treasuries]]
name = "many"
[[treasuries.watch]]
addresses_file = "many.csv"
"""


async def the_source(daemon: Daemon) -> dict[str, Any]:
    """How the daemon sees its only source."""
    source: dict[str, Any] = (await daemon.read("/api/v1/sources")).json()["sources"][0]
    return source


async def subscribed(daemon: Daemon, scripts: int, *, within: float) -> dict[str, Any]:
    """How it sees its source once that will tell it of so many, and all is read."""

    async def ready() -> bool:
        fresh = (await daemon.get("/freshz")).status == 200
        return fresh and (await the_source(daemon))["subscriptions"] == scripts

    await until(ready, within=within, what="the first reading")
    return await the_source(daemon)


def write_list(folder: Path, scripts: int) -> None:
    addresses = [encode_address(b"\x00\x14" + n.to_bytes(20, "big"), Network.REGTEST) for n in range(scripts)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "many.csv").write_text("address\n" + "\n".join(map(str, addresses)) + "\n")


async def watched_for(seconds: float, node: Node, folder: Path) -> None:
    """Watch for so long, and see that the server never had enough of it."""
    write_list(folder, SCRIPTS)
    async with (
        ElectrumX(node, directory=folder / "electrumx", cost_limits=True) as server,
        Daemon(config(server.url), folder) as daemon,
    ):
        before = await subscribed(daemon, SCRIPTS, within=600)

        async def bounded() -> bool:
            bound = await daemon.metric("watcher_source_detection_bound_seconds", source="public")
            # the server forgives 0.67 a second, and a thousand scripts cost 240
            return bound is not None and 360 < bound < 480

        await until(bounded, within=30, what="the bound")  # a scrape is up to a second old
        await asyncio.sleep(seconds)
        after = await the_source(daemon)
        assert after["connected"] == before["connected"]
        assert after["requests"]["error"] == before["requests"]["error"]
        assert after["requests"]["timeout"] == before["requests"]["timeout"]
        await subscribed(daemon, SCRIPTS, within=60)
        log = (server.directory / "electrumx.log").read_text()
        assert "excessive resource usage" not in log
        assert "closing session" not in log


async def test_a_thousand_scripts_for_a_minute(node: Node, chain: Chain, tmp_path: Path) -> None:
    await watched_for(65, node, tmp_path / "daemon")


@pytest.mark.fuzz
async def test_a_thousand_scripts_for_an_hour(node: Node, chain: Chain, tmp_path: Path) -> None:
    await watched_for(3_600, node, tmp_path / "daemon")


@pytest.mark.fuzz
async def test_a_list_that_does_not_fit_is_read_piece_by_piece(
    node: Node, chain: Chain, tmp_path: Path
) -> None:
    folder = tmp_path / "daemon"
    write_list(folder, MORE_THAN_FIT)
    async with (
        ElectrumX(node, directory=folder / "electrumx", cost_limits=True) as server,
        Daemon(config(server.url), folder) as daemon,
    ):
        source = await subscribed(daemon, MORE_THAN_FIT, within=3_600)
        assert (source["requests"]["error"], source["requests"]["timeout"]) == (0, 0)
        log = (server.directory / "electrumx.log").read_text()
        assert "excessive resource usage" not in log
        assert log.count("closing session") == 0
