"""A reload of 100,000 addresses while payments come: none is lost, and the event loop gets its turns."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest

from tests.daemon.places import Place, address
from tests.stack.processes import Child, until
from tests.stack.receiver import Receiver
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon

ADDRESSES: Final = 100_000
CHANGED: Final = 10
PAYMENTS: Final = 40


def script(number: int) -> bytes:
    return b"\x00\x14" + number.to_bytes(20, "big")


def write_list(file: Path, first: int) -> None:
    rows = (f"{address(script(n))},label {n % 7}\n" for n in range(first, first + ADDRESSES))
    file.write_text("address,label\n" + "".join(rows))


def watching(place: Place) -> Daemon:
    """The daemon with a witness on its loop; its own server is asked as fast as it answers."""
    head, _, rest = place.config().partition("[[treasuries]]")
    head = head.replace('reread = "2s"', 'reread = "60s"')
    head = head.replace('kind = "electrum"', 'kind = "electrum"\ntrusted = true')
    listed = '[[treasuries]]\nname = "alpha"\n[[treasuries.watch]]\naddresses_file = "list.csv"\n'
    daemon = place.daemon(f"{head}{listed}[[rules]]{rest.partition('[[rules]]')[2]}")
    daemon.child = Child(
        [sys.executable, "-m", "tests.daemon.lag", str(daemon.path)], log=place.folder / "daemon.log"
    )
    return daemon


def lags(log: Path, begin: float, end: float) -> list[float]:
    """The witness's lags between two instants of the clock, in seconds, the largest first."""
    words = [line.split() for line in log.read_text().splitlines() if line[:1].isdigit()]
    return sorted((float(lag) for at, lag in words if begin <= float(at) < end), reverse=True)


@pytest.mark.fuzz
async def test_no_payment_is_lost_while_a_hundred_thousand_addresses_are_reloaded(tmp_path: Path) -> None:
    chain = ToyChain(200)
    async with ToyElectrum(chain) as toy, Receiver() as receiver:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        write_list(tmp_path / "list.csv", 0)
        daemon = watching(place)
        async with AsyncExitStack() as stack:
            stack.callback(daemon.kill)
            await daemon.start(within=300)  # reads and lists 100,000 before it is ready

            async def is_fresh() -> bool:
                return (await daemon.get("/freshz")).status == 200

            await until(is_fresh, within=900, what="the first reading")
            write_list(tmp_path / "list.csv", CHANGED)
            began = time.monotonic()
            reloading = asyncio.create_task(daemon.command("reload", within=300))
            paid = set()
            for number in range(PAYMENTS):  # before, while and after the list is exchanged
                paid.add(chain.pay(script(1_000 + number), 5_000 + number))
                await asyncio.sleep(0.5)
            outcome = await reloading
            assert outcome.code == 0, outcome
            reloaded = time.monotonic()

            async def all_are_told() -> bool:
                return paid <= {r.data.get("txid") for r in receiver.received if r.type == "tx.seen"}

            await until(all_are_told, within=600, what=f"{PAYMENTS} payments")
            log = await daemon.events()
            assert sorted(e["data"]["txid"] for e in log if e["type"] == "tx.seen") == sorted(paid)
            changes = [e["type"] for e in log if e["type"] in {"watch.added", "watch.removed"}]
            assert changes == ["watch.removed", "watch.added"]
            ended = time.monotonic()
        for what, begin, end in (("reload", began, reloaded), ("taking it up", reloaded, ended)):
            late = lags(tmp_path / "daemon.log", begin, end)
            most = ", ".join(f"{lag * 1000:.0f}" for lag in late[:5])
            over = sum(lag > 0.05 for lag in late)
            print(f"{what}: {end - begin:.0f} s, loop lag at most {most} ms, {over} times over 50")
