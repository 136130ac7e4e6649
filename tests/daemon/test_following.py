"""`events --follow`, and what `verify` finds when somebody has been at the ledger."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, BETA, Place, events_are
from tests.stack.processes import Child, until
from watcher.ledger.opening import path_in

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

ROOT = Path(__file__).parents[2]


def follower_of(daemon: Daemon, *words: str) -> Child:
    return Child(
        [sys.executable, "-m", "watcher", "--config", daemon.path, "events", "--follow", *words],
        log=daemon.directory / "followed",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )


async def told(follower: Child, *, lines: int) -> list[str]:
    """Its first lines, as soon as it has told so many."""

    async def enough() -> list[str]:
        # what is being written this moment has no end yet
        found = [line for line in follower.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line.removesuffix("\n") for line in found] if len(found) >= lines else []

    return await until(enough, within=60, what=f"{lines} lines")


async def test_following_tells_what_comes_and_ends_well_by_a_signal(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await events_are(daemon, 2)
        log = (await daemon.events())[0]["data"]["log"]
        follower = follower_of(daemon, "--format", "json", "--after", f"{log}:1")
        follower.start()
        try:
            await told(follower, lines=1)
            toy.chain.pay(BETA, 9_000)
            lines = await told(follower, lines=2)
            assert await follower.terminate() == 0
        finally:
            follower.kill()
        assert [json.loads(line) for line in lines] == (await daemon.events())[1:]


async def test_following_outlives_a_restart_of_the_daemon(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await events_are(daemon, 2)
        follower = follower_of(daemon)
        follower.start()
        try:
            await told(follower, lines=2)
            assert await daemon.terminate() == 0
            assert "waiting for the daemon" in (await told(follower, lines=3))[2]
            await daemon.start()
            toy.chain.pay(ALPHA, 60_000)
            assert "tx.seen" in (await told(follower, lines=4))[3]
            follower.signal(signal.SIGINT)
            assert await follower.ended(within=60) == 0
        finally:
            follower.kill()


async def test_verify_names_what_does_not_hold(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await events_are(daemon, 2)
        assert await daemon.terminate() == 0
    with closing(sqlite3.connect(path_in(tmp_path / "state"))) as connection, connection:
        connection.execute("UPDATE treasuries SET confirmed = confirmed + 1 WHERE name = 'beta'")
    done = await daemon.command("verify")
    assert done.code == 1
    assert "does not hold: treasury beta" in done.out
    assert (await daemon.command("verify", "--fail-fast")).out.count("does not hold") == 1
