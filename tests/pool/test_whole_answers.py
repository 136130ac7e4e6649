"""False bytes, answers in any order or in part, and a chain that stands still: what becomes of the ledger."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.pool.rig import electrum, pool
from tests.sources.conftest import QUICK
from tests.toy.bells import running
from tests.toy.coding import scripthash
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.networks import Network
from watcher.sources.base import Unavailable
from watcher.sources.electrum import ElectrumSource
from watcher.sources.limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.keys import Key
    from watcher.bitcoin.types import ScriptHash

Servers: TypeAlias = dict[str, ToyElectrum]
Batch: TypeAlias = "list[dict[str, Any]]"


async def test_bytes_of_another_transaction_are_a_strike_and_another_source_is_asked(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        other = chain.transactions[chain.blocks[1].txids[0]].raw.hex()
        servers["a"].forge("blockchain.transaction.get", lambda _params, _honest: other)
        for name in ("b", "c"):
            servers[name].swallow_notifications()  # so that it is a who is asked first
        paid = chain.pay(key.script, 50_000)
        chain.mine()
        await here.happens(lambda: here.watch.conduct.strikes["a", "transaction"] >= 1, "the strike")
        await here.happens_by_sweeping(lambda: here.balance == (50_000, 0), "the inflow")
        assert {event.txid for event in here.told("tx.seen") + here.told("tx.confirmed")} == {paid}
        assert {name for name, _reason in here.watch.conduct.strikes} == {"a"}


async def test_while_all_sources_stand_still_nothing_changes_and_then_all_is_told(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        await here.baselined()
        told, tip = len(here.events), chain.tip
        for server in servers.values():
            server.freeze_tip()
            server.faults.silent_bells = True
        paid = chain.pay(key.script, 10_000)
        for server in servers.values():
            server.omit(paid)
        chain.mine(12)
        for _ in range(3):
            await here.sweep()
        assert here.watch.tip == tip
        assert here.balance == (50_000, 0)
        assert len(here.events) == told
        assert not here.watch.conduct.strikes
        for server in servers.values():
            server.faults.tip_height = None
            server.faults.omitted.clear()
        await here.happens_by_sweeping(lambda: here.balance == (60_000, 0), "the inflow")
        assert here.watch.tip == chain.tip


class Middleman:
    """Between a client and a server: `change` may give back each batch of answers otherwise."""

    def __init__(self, port: int, change: Callable[[Batch], Batch]) -> None:
        self.port = 0
        self._to = port
        self._change = change

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to, limit=1 << 22)
        try:
            await asyncio.gather(self._forth(reader, back), self._back(there, writer))
        except ConnectionError:
            pass
        finally:
            writer.close()
            back.close()

    async def _forth(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while content := await reader.read(1 << 16):
            to.write(content)
        to.close()

    async def _back(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if isinstance(message, list):
                message = self._change(message)
            to.write(json.dumps(message).encode() + b"\n")
        to.close()


@asynccontextmanager
async def through(
    server: ToyElectrum, change: Callable[[Batch], Batch], limits: Limits
) -> AsyncIterator[ElectrumSource]:
    middleman = Middleman(server.port, change)
    listening = await asyncio.start_server(middleman.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    source = ElectrumSource(
        "toy",
        f"tcp://127.0.0.1:{port}",
        Network.REGTEST,
        clock=time.time,
        draw=lambda: 0.5,
        backoff=QUICK,
        limits=limits,
    )
    async with listening, running(source, up=True) as bells:
        yield source
        assert bells.count("disconnected") == 0


def scripts(chain: ToyChain) -> dict[ScriptHash, int]:
    """Scripts that were paid so often each."""
    paid: dict[ScriptHash, int] = {}
    for times in range(1, 6):
        script = b"\x00\x14" + bytes([times]) * 20
        for _ in range(times):
            chain.pay(script, 1_000)
            chain.mine()
        paid[scripthash(script)] = times
    return paid


async def test_a_batch_is_answered_in_any_order(servers: Servers, chain: ToyChain) -> None:
    paid = scripts(chain)
    async with through(servers["a"], lambda batch: batch[::-1], Limits()) as source:
        told = (await source.histories(list(paid))).histories
    assert {script: len(history) for script, history in told.items() if isinstance(history, tuple)} == paid


async def test_what_is_missing_in_a_batch_is_late_and_the_rest_is_there(
    servers: Servers, chain: ToyChain
) -> None:
    paid = scripts(chain)

    def without_the_second_history(batch: Batch) -> Batch:
        lists = [one for one in batch if isinstance(one["result"], list)]
        return [one for one in batch if len(lists) < 2 or one is not lists[1]]

    async with through(servers["a"], without_the_second_history, Limits(answer=5.0)) as source:
        told = (await source.histories(list(paid))).histories
    missing = list(paid)[1]
    assert isinstance(told[missing], Unavailable)
    read = {script: len(history) for script, history in told.items() if isinstance(history, tuple)}
    assert read == {script: times for script, times in paid.items() if script != missing}
