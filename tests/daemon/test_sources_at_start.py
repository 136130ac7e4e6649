"""Sources that are not there or of another network: an outage never ends a watch, the wrong chain does."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.daemon.places import Place, fresh, log_has
from tests.stack.processes import free_port, until
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.networks import PARAMS, Network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stack.daemon import Daemon


@asynccontextmanager
async def another_chain() -> AsyncIterator[ToyElectrum]:
    """A server whose chain begins with signet's first block."""
    first = PARAMS[Network.SIGNET].genesis_header.hex()

    def bend(params: list[Any], honest: dict[str, Any]) -> dict[str, Any]:
        if params[0] == 0 and "headers" in honest:
            return {**honest, "headers": [first, *honest["headers"][1:]]}
        return honest

    async with ToyElectrum(ToyChain()) as toy:
        toy.forge("blockchain.block.headers", bend)
        yield toy


async def source(daemon: Daemon, name: str) -> dict[str, Any]:
    """What the daemon says of a source."""
    found = (await daemon.get("/api/v1/sources")).json()["sources"]
    return next(one for one in found if one["name"] == name)


async def test_an_unreachable_source_is_told_once_and_the_watch_goes_on(tmp_path: Path) -> None:
    port = free_port()
    async with Place(tmp_path, {"home": f"tcp://127.0.0.1:{port}"}).daemon() as daemon:
        tries = 0

        async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal tries
            tries += 1
            writer.close()

        async def told() -> bool:
            return bool((await source(daemon, "home"))["last_error"])

        await until(told, within=60, what="the failure in the source's health")
        assert (await daemon.get("/readyz")).status == 200
        assert (await daemon.get("/freshz")).status == 503
        status = await daemon.command("status")
        assert status.code == 0
        assert "home: down: " in status.out
        assert (await daemon.command("status", "--check")).code == 1
        async with await asyncio.start_server(hang_up, "127.0.0.1", port):

            async def again() -> bool:
                return tries > 0

            await until(again, within=120, what="another attempt")
        assert await daemon.ready()
        assert await daemon.terminate() == 0
    lines = [
        line for line in daemon.child.log.read_text().splitlines() if "home" in line and "warning" in line
    ]
    assert len(lines) == 1, lines


async def test_a_source_that_comes_later_is_taken(toy: ToyElectrum, tmp_path: Path) -> None:
    await toy.stop()
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        assert (await daemon.get("/freshz")).status == 503
        await toy.start()
        await fresh(daemon)


async def test_the_only_source_being_of_another_network_is_2(tmp_path: Path) -> None:
    async with another_chain() as other:
        done = await Place(tmp_path, {"home": other.url}).daemon().command("run")
    assert (done.code, done.out) == (2, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("watcher: home: ")
    assert "regtest" in last
    assert "Traceback" not in done.err


async def test_two_of_another_network_are_2_and_both_named(tmp_path: Path) -> None:
    async with another_chain() as one, another_chain() as two:
        done = await Place(tmp_path, {"one": one.url, "two": two.url}).daemon().command("run")
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert "one: " in last
    assert "two: " in last


async def test_one_of_another_network_is_left_out_loudly(toy: ToyElectrum, tmp_path: Path) -> None:
    async with (
        another_chain() as other,
        Place(tmp_path, {"home": toy.url, "stranger": other.url}).daemon() as daemon,
    ):
        await fresh(daemon)
        await log_has(daemon, "stranger")
        assert not (await source(daemon, "stranger"))["up"]
        status = await daemon.command("status")
        assert "stranger: down: " in status.out
        assert "regtest" in status.out.split("stranger: down: ")[1]
        assert await daemon.terminate() == 0


async def test_of_another_network_while_one_is_unreachable_is_no_end(tmp_path: Path) -> None:
    async with another_chain() as other:
        sources = {"stranger": other.url, "away": f"tcp://127.0.0.1:{free_port()}"}
        async with Place(tmp_path, sources).daemon() as daemon:

            async def both_failed() -> bool:
                return all([(await source(daemon, name))["last_error"] for name in sources])

            await until(both_failed, within=60, what="both failures")
            assert await daemon.ready()
            assert await daemon.terminate() == 0


async def test_check_online_tells_what_each_source_answers(toy: ToyElectrum, tmp_path: Path) -> None:
    daemon = Place(tmp_path, {"home": toy.url}).daemon()
    done = await daemon.command("check", "--online")
    assert (done.code, done.err) == (0, "")
    answer = next(line for line in done.out.splitlines() if line.startswith("source home: answers"))
    for part in (
        "regtest",
        f"tip {toy.chain.height} {toy.chain.tip.hash}",
        "ToyElectrum 1.0",
        "protocol 1.6",
        "ms",
    ):
        assert part in answer
    assert "learns 2 scripts of alpha, beta" in done.out


async def test_check_online_is_1_below_quorum_and_0_above(toy: ToyElectrum, tmp_path: Path) -> None:
    away = f"tcp://127.0.0.1:{free_port()}"
    alone = await Place(tmp_path / "alone", {"away": away}).daemon().command("check", "--online")
    assert alone.code == 1
    assert "source away: unavailable: " in alone.out
    assert "treasury alpha: below quorum: 0 of 1" in alone.out
    assert alone.err == ""
    both = (
        await Place(tmp_path / "both", {"home": toy.url, "away": away}).daemon().command("check", "--online")
    )
    assert both.code == 0
    async with another_chain() as other:
        done = await Place(tmp_path / "other", {"other": other.url}).daemon().command("check", "--online")
    assert done.code == 1
    assert "source other: wrong_network: " in done.out


async def test_status_as_json_has_the_sources_words_escaped(toy: ToyElectrum, tmp_path: Path) -> None:
    toy.software = "\x1b[31mred\x07"
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        text = (await daemon.command("status")).out
        assert "\x1b" not in text
        assert "\x07" not in text
        found = json.loads((await daemon.command("status", "--json")).out)
        assert "\x1b" not in found["sources"][0]["software"]
