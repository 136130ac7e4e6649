"""SIGKILL at any moment of a daemon's life, while it starts too: nothing is lost, nothing told twice.

The chain goes on living meanwhile, and after each kill a copy of the ledger is looked at before the daemon
is started again. A kill that came before the daemon was ready again is one in recovery: so many are aimed
there that a tenth hits.
"""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.nest import Nest
from tests.daemon.places import address
from tests.daemon.record import Record
from tests.daemon.toy_life import ToyLife, amounts, balance
from tests.real.checks import add_up
from tests.real.setting import config
from tests.stack.processes import free_port
from tests.stack.receiver import SECRET, Receiver
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from watcher.core.instants import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from watcher.bitcoin.types import Txid

# Of a witness version still to come, as in `places`: the toy chain signs nothing.
TREASURIES = {
    "alpha": [b"\x52\x20" + bytes([n] * 32) for n in (1, 2, 3)],
    "beta": [b"\x52\x20" + bytes([n] * 32) for n in (4, 5)],
}
LONGEST_LIFE = 0.4  # seconds after it was ready
OWN_OF_DELIVERY = {"rules", "severity", "step", "fiat", "url"}


@pytest.fixture(scope="module")
def nest() -> Iterator[Nest]:
    with Nest() as open_nest:
        yield open_nest


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 60), *(pytest.param(s, 100, marks=pytest.mark.fuzz) for s in range(1, 11))]
)
async def test_nothing_is_lost_by_kills_while_it_watches_and_while_it_recovers(
    nest: Nest, tmp_path: Path, seed: int, kills: int
) -> None:
    rng = Random(seed)
    chain = ToyChain()
    life = ToyLife(chain, TREASURIES, rng)
    (tmp_path / "ops.secret").write_text(SECRET)
    addresses = {name: [address(s) for s in scripts] for name, scripts in TREASURIES.items()}
    async with ToyElectrum(chain) as server, Receiver() as receiver:
        record = Record(tmp_path / "state", receiver)
        text = config(f"127.0.0.1:{free_port()}", server.url, receiver.url, addresses)
        async with nest.daemon(text, tmp_path) as daemon:
            await settled(daemon, chain, receiver)
            killed = in_recovery = 0
            start_takes = 0.0  # seconds, the last time
            while killed < kills or 10 * in_recovery < killed:
                if start_takes and 8 * in_recovery < killed:
                    daemon.child.start()
                    in_recovery += await until_killed(daemon, rng.uniform(0, start_takes))
                else:
                    if killed:
                        start_takes = await started(daemon)
                    await until_killed(daemon, rng.uniform(0, LONGEST_LIFE), life)
                killed += 1
                record.look()
                for _ in range(rng.choice([0, 1, 3])):
                    life.step()
            await daemon.start()
            await settled(daemon, chain, receiver)
            events = await daemon.events()
            check_told(chain, events)
            check_received(receiver, events)
            verified = await daemon.command("verify")
            assert verified.code == 0, verified
            daemon.kill()
            record.look()
    webhooks = [one.id for one in receiver.verified]
    print(f"seed {seed}: {killed} kills, {in_recovery} in recovery; {len(events)} events, 0 lost;", end=" ")
    print(f"{len(webhooks)} webhooks, {len(webhooks) - len(set(webhooks))} of them again")


async def started(daemon: Daemon) -> float:
    """Start it until it is ready; how many seconds that took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await daemon.start()
    return loop.time() - begun


async def until_killed(daemon: Daemon, seconds: float, life: ToyLife | None = None) -> bool:
    """Kill it so much later, amid what happens meanwhile if there is a life; whether it was not yet ready."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (rest := end - loop.time()) > 0:
        if life is not None:
            life.step()
            rest = min(rest, life.rng.uniform(0, 0.1))
        await asyncio.sleep(rest)  # nothing is waited for: the moment of death is drawn
    assert daemon.child.running, daemon.child.tail()
    unready = not await daemon.ready()
    daemon.kill()
    return unready


async def settled(daemon: Daemon, chain: ToyChain, receiver: Receiver) -> None:
    """Until all was read anew, the log adds up to chain and mempool, and each event was delivered.

    The sums alone do not tell: a reorganisation that only moved transactions leaves them as they were.
    """
    expected = {name: balance(chain, scripts) for name, scripts in TREASURIES.items()}
    instant = rfc3339(time.time_ns() // 1_000_000)
    deadline = asyncio.get_running_loop().time() + 120
    while True:
        is_read = await read_since(daemon, instant)
        events = await daemon.events()  # only now: what was read by then is told
        received = {one.data["id"] for one in receiver.verified}
        undelivered = owed(events) - received
        sums = add_up(events)
        if is_read and sums == expected and not undelivered:
            return
        assert asyncio.get_running_loop().time() < deadline, (is_read, sums, expected, undelivered)
        await asyncio.sleep(0.05)


async def read_since(daemon: Daemon, instant: str) -> bool:
    """Whether every treasury was asked for and read in full from that instant on."""
    told = (await daemon.get("/api/v1/treasuries")).json()["treasuries"]
    return all(one["complete_as_of"] is not None and one["complete_as_of"]["time"] >= instant for one in told)


def owed(events: list[dict[str, Any]]) -> set[str]:
    """The ids of what is told by itself: what is first known when it is final is told by the higher rung."""
    final = {
        (event["data"]["treasury"], event["data"]["txid"], event["timestamp"])
        for event in events
        if event["type"] == "tx.final"
    }
    return {
        event["data"]["id"]
        for event in events
        if event["type"] != "tx.confirmed"
        or (event["data"]["treasury"], event["data"]["txid"], event["timestamp"]) not in final
    }


def check_told(chain: ToyChain, events: list[dict[str, Any]]) -> None:
    """Each transaction in the chain is told in its block, stands in the log's sum, and nothing else does."""
    assert len({event["data"]["id"] for event in events}) == len(events)
    for name, scripts in TREASURIES.items():
        told: dict[Txid, int] = {}
        blocks: dict[Txid, str] = {}
        for event in events:
            data = event["data"]
            if data["treasury"] == name and event["type"].startswith("tx."):
                told[data["txid"]] = told.get(data["txid"], 0) + data["delta_sats"]["confirmed"]
                if event["type"] in {"tx.confirmed", "tx.moved"}:
                    blocks[data["txid"]] = data["block"]["hash"]
        found = amounts(chain, scripts)
        assert found.keys() <= told.keys()
        assert told == {txid: found.get(txid, 0) for txid in told}
        heights = {txid: chain.height_of(txid) for txid in found}
        assert {txid: blocks[txid] for txid in found} == {
            txid: chain.blocks[height].hash for txid, height in heights.items() if height is not None
        }


def check_received(receiver: Receiver, events: list[dict[str, Any]]) -> None:
    """Each event of the log arrived as the log has it; what came again came with its id and its bytes."""
    logged = {event["data"]["id"]: event for event in events}
    bodies: dict[str, bytes] = {}
    for received in receiver.received:
        assert received.refusal is None
        assert bodies.setdefault(received.id, received.body) == received.body
        event = logged[received.data["id"]]
        assert received.type == event["type"]
        assert received.id.startswith(received.data["id"])
        assert without_own(received.data) == without_own(event["data"])
    assert {one.data["id"] for one in receiver.received} >= owed(events)


def without_own(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in OWN_OF_DELIVERY}
