"""However the daemon ends, its exit code is true."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, fresh, log_has
from tests.stack.processes import until
from tests.stack.receiver import Receiver, hang
from watcher.ledger.opening import path_in

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

# Promised are ten seconds, and a starved machine takes longer; a daemon that waited for a source's answer
# would take thirty.
STOP_SECONDS = 25


async def ends_well(daemon: Daemon, number: signal.Signals) -> None:
    daemon.child.signal(number)
    assert await daemon.child.ended(within=STOP_SECONDS) == 0, daemon.child.tail()
    assert "Traceback" not in daemon.child.tail()
    assert not (daemon.directory / "state" / "control.sock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_quiet_daemon_with_0(
    number: signal.Signals, toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        await ends_well(daemon, number)


async def test_a_signal_ends_it_during_the_first_reading(toy: ToyElectrum, tmp_path: Path) -> None:
    toy.stall()
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:

        async def connected() -> bool:
            return toy.connections > 0

        await until(connected, within=60, what="a connection")
        await ends_well(daemon, signal.SIGTERM)


async def test_a_signal_ends_it_while_a_receiver_hangs(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.answer = hang
        async with Place(tmp_path, {"home": toy.url}, receiver.url).daemon() as daemon:
            await fresh(daemon)

            async def asked() -> bool:
                return bool(receiver.received)

            await until(asked, within=60, what="a delivery")
            await ends_well(daemon, signal.SIGTERM)
        pending = await daemon.command("deliveries", "--json", "--state", "pending")
        left = [json.loads(line) for line in pending.out.splitlines()]
        # cut off, and not waited for until it had failed
        assert {(row["type"], row["attempts"]) for row in left} == {("watch.baselined", 0)}


async def test_a_signal_ends_it_while_it_is_still_starting(toy: ToyElectrum, tmp_path: Path) -> None:
    daemon = Place(tmp_path, {"home": toy.url}).daemon()
    daemon.child.start()
    try:

        async def locked() -> bool:
            return (tmp_path / "state" / "lock").exists()

        await until(locked, within=60, what="the lock")
        await ends_well(daemon, signal.SIGTERM)
    finally:
        daemon.kill()


async def test_whatever_comes_amid_the_way_down_does_not_cut_it_short(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    """Hangups from the lock on, and after the first SIGTERM more of both, until it is gone."""
    daemon = Place(tmp_path, {"home": toy.url}).daemon()

    async def locked() -> bool:
        return (tmp_path / "state" / "lock").exists()

    async def pester(*numbers: signal.Signals, every: float) -> None:
        while daemon.child.running:
            for number in numbers:
                daemon.child.signal(number)
                await asyncio.sleep(every)

    async with AsyncExitStack() as stack:
        stack.callback(daemon.kill)
        daemon.child.start()
        await until(locked, within=60, what="the lock")
        hangups = asyncio.create_task(pester(signal.SIGHUP, every=0.02))
        await daemon.child.ready(daemon.ready, within=180)
        await log_has(daemon, "the config is reloaded")
        daemon.child.signal(signal.SIGTERM)
        await pester(signal.SIGHUP, signal.SIGTERM, signal.SIGINT, every=0.001)
        await hangups
        await ends_well(daemon, signal.SIGTERM)
    assert (tmp_path / "state" / "ledger.sqlite.sealed").exists()


async def test_a_resolver_that_does_not_answer_holds_up_no_end(toy: ToyElectrum, tmp_path: Path) -> None:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("a resolver that does not answer needs a C compiler")
    library = tmp_path / "resolver.so"
    source = Path(__file__).with_name("resolver.c")
    await asyncio.to_thread(
        subprocess.run, [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True
    )
    place = Place(tmp_path, {"home": toy.url, "away": "tcp://server.hangs:50001"})
    async with place.daemon(LD_PRELOAD=str(library)) as daemon:
        await fresh(daemon)
        await ends_well(daemon, signal.SIGTERM)
    assert (tmp_path / "state" / "ledger.sqlite.sealed").exists()


async def test_what_nobody_expected_is_4_with_its_name_and_where_to_report(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        with closing(sqlite3.connect(path_in(tmp_path / "state"), timeout=60)) as connection:
            connection.execute("ALTER TABLE events RENAME TO gone")
        toy.chain.pay(ALPHA, 10_000)
        assert await daemon.child.ended(within=60) == 4
        last = daemon.child.log.read_text().splitlines()[-1]
        assert last.startswith("watcher: unexpected OperationalError")
        assert "https://github.com/treasury-watcher/" in last
        await log_has(daemon, "Traceback")
