"""Events that arrive while many read along, and the same without them: commits and deliveries."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench.large import TREASURY, large
from tests.bench.place import Script, Watched, fresh, resident_mb
from tests.bench.result import Row, median, quantile
from tests.stack.processes import until
from tests.stack.receiver import Receiver
from tests.toy.chain import ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.addresses import decode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.status import status_hash
from watcher.bitcoin.types import Outpoint, ScriptHash, Txid
from watcher.web.metrics import MAX_AGE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tests.bench.large import Large
    from tests.stack.daemon import Daemon

_ROOT: Final = Path(__file__).parents[2]
_A_SECOND: Final = 20  # events: far from what the daemon can do, so that none waits for the one before
_A_FAN: Final = 100  # outputs
_SATS: Final = 1_000
_RANG: Final = "blockchain.scripthash.subscribe"
_MEMORY_EVERY: Final = 20  # events


async def company(folder: Path, *, rows: int, events: int, repeats: int) -> list[Row]:
    """Each run of so many events alone is followed by one in company (`visitors.py`), on one daemon.

    Ours is in company, the reference alone. To the commit it is the daemon's own mean of a run, to the
    webhook each event's time.
    """
    made = large(folder / "state", scripts=max(1, rows // 50), payments=rows)
    chain = _Grown(made)
    coins = iter(chain.coins(2 * events * repeats))
    runs: list[tuple[_Run, _Run]] = []
    given: list[dict[str, Any]] = []
    async with ToyElectrum(chain) as server, Receiver() as receiver:
        place = Watched(
            folder, server.url, [Script(scripthash(s), a) for s, a in chain.watched], receiver.url
        )
        async with place.daemon() as daemon:
            await fresh(daemon, within=900)
            here = _Here(chain, server, receiver, daemon, coins)
            for _ in range(repeats):
                alone = await here.run(events)
                async with _visited(daemon, given):
                    runs.append((await here.run(events), alone))
    beside = {
        "rows of the spreadsheet": min(rows for one in given for rows in one["rows"]),
        "its seconds": median([seconds for one in given for seconds in one["seconds"]]),
        "scrapes a run": median([one["scrapes"] for one in given]),
        "MB": max(ours.resident for ours, _ in runs),
        "MB before": runs[0][1].resident,
    }
    return [_to_commit(events, runs), _to_webhook(events, runs, beside)]


@dataclass(slots=True)
class _Run:
    """Milliseconds from notification to commit, in the mean; to webhook, each; the most memory, in MB."""

    to_commit: float = 0.0
    to_webhook: list[float] = field(default_factory=list)
    resident: float = 0.0


def _to_commit(events: int, runs: Sequence[tuple[_Run, _Run]]) -> Row:
    return Row(
        name=f"notification to commit in company, mean of {events:,}",
        unit="ms",
        more_is_better=False,
        ours=tuple(ours.to_commit for ours, _ in runs),
        reference="the same alone",
        theirs=tuple(alone.to_commit for _, alone in runs),
    )


def _to_webhook(events: int, runs: Sequence[tuple[_Run, _Run]], beside: dict[str, float]) -> Row:
    ours = [ms for run, _ in runs for ms in run.to_webhook]
    alone = [ms for _, run in runs for ms in run.to_webhook]
    return Row(
        name=f"notification to webhook in company, each of {events:,}",
        unit="ms",
        more_is_better=False,
        ours=tuple(ours),
        reference="the same alone",
        theirs=tuple(alone),
        beside={"p99 ms": quantile(ours, 0.99), "p99 ms alone": quantile(alone, 0.99)} | beside,
    )


class _Grown(ToyChain):
    """The chain of a large ledger, and strangers' coins on top of it. `watched`: script and address."""

    def __init__(self, made: Large) -> None:
        super().__init__(blocks=0)
        self.blocks = list(made.blocks)
        scripts = [decode_address(address, Network.REGTEST) for address in made.addresses]
        self.watched = list(zip(scripts, made.addresses, strict=True))
        names = [scripthash(script) for script in scripts]
        self._past: dict[ScriptHash, list[tuple[Txid, int]]] = {name: [] for name in names}
        paid = ((txid, height) for height, block in enumerate(self.blocks) for txid in block.txids[1:])
        for number, (txid, height) in enumerate(paid):
            self._past[names[number % len(names)]].append((txid, height))

    def history(self, script: ScriptHash) -> list[tuple[Txid, int]]:
        """With what was there before."""
        return [*self._past.get(script, ()), *super().history(script)]

    def coins(self, count: int) -> list[Outpoint]:
        """So many confirmed coins of strangers, each of a script of its own."""
        fans = []
        for first in range(0, count, _A_FAN):
            self.mine()
            minted = Outpoint(self.blocks[-1].txids[0], 0)
            outputs = [(_stranger(number), 2 * _SATS) for number in range(first, min(count, first + _A_FAN))]
            fans.append(self.know(Tx((minted,), tuple(outputs))))
        self.mine(txs=fans)
        return [Outpoint(fan, vout) for fan in fans for vout in range(len(self.transactions[fan].outputs))]


def _stranger(number: int) -> bytes:
    return b"\x00\x14" + hashlib.sha256(f"stranger {number}".encode()).digest()[:20]


@dataclass(slots=True)
class _Here:
    """A daemon with its only server and its receiver; every coin is spent once, in any number of runs."""

    chain: _Grown
    server: ToyElectrum
    receiver: Receiver
    daemon: Daemon
    coins: Iterator[Outpoint]
    _sent: int = 0
    _looked: int = 0
    _told: dict[str, float] = field(default_factory=dict)

    async def run(self, events: int) -> _Run:
        """So many payments, each to the next address, at a steady pace; until every webhook is there."""
        found = _Run()
        before = await self._detected()
        rang: dict[Txid, float] = {}
        start = time.monotonic()
        for number in range(events):
            await asyncio.sleep(start + number / _A_SECOND - time.monotonic())
            txid, at = self._pay()
            rang[txid] = at
            if number % _MEMORY_EVERY == 0:
                found.resident = max(found.resident, resident_mb(self.daemon.child.pid))
        await until(lambda: self._all_told(rang), within=300, what="a webhook about each payment")
        found.to_webhook = [(self._told[txid] - at) * 1000 for txid, at in rang.items()]
        await asyncio.sleep(MAX_AGE_SECONDS)  # what a scraper was given just now is given again
        after = await self._detected()
        found.to_commit = (after[0] - before[0]) / (after[1] - before[1]) * 1000
        return found

    def _pay(self) -> tuple[Txid, float]:
        """One payment of a stranger, told to the daemon; when."""
        script, _ = self.chain.watched[self._sent % len(self.chain.watched)]
        self._sent += 1
        txid = self.chain.know(Tx((next(self.coins),), ((script, _SATS),)))
        self.chain.mempool[txid] = None
        # told by hand: the toy would look at every script whether it has changed
        name = scripthash(script)
        status = status_hash([(each, max(height, 0)) for each, height in self.chain.history(name)])
        line = json.dumps({"jsonrpc": "2.0", "method": _RANG, "params": [name, status]}).encode() + b"\n"
        for client in self.server.clients:
            client.send(line)
        return txid, time.time()

    async def _all_told(self, rang: dict[Txid, float]) -> bool:
        """Whether there was a webhook about each of these."""
        received = self.receiver.received
        for one in received[self._looked :]:
            if "txid" in one.data:
                self._told.setdefault(one.data["txid"], one.at)
        self._looked = len(received)
        return rang.keys() <= self._told.keys()

    async def _detected(self) -> tuple[float, float]:
        """The daemon's own seconds from a notification to its commit, added up, and how many they are."""
        seconds = await self.daemon.metric("watcher_detection_seconds_sum")
        count = await self.daemon.metric("watcher_detection_seconds_count")
        return seconds or 0.0, count or 0.0


@asynccontextmanager
async def _visited(daemon: Daemon, given: list[dict[str, Any]]) -> AsyncIterator[None]:
    """With all visitors there; what they were given is added at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.visitors", daemon.url, TREASURY),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not await process.stdout.readline():
            raise RuntimeError("the visitors did not get in")
        yield
        process.stdin.close()
        given.append(json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
