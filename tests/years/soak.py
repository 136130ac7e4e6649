"""A daemon among sources, a receiver and readers that all fail by turns, for as long as one likes."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import signal
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.daemon.places import address
from tests.daemon.toy_life import ToyLife
from tests.stack.daemon import Daemon
from tests.stack.processes import Child, free_port, until
from tests.stack.receiver import SECRET, Receiver, close, hang, status
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from tests.toy.toxic import Toxic
from tests.years.figures import Sample
from watcher.ledger.opening import path_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random

    from tests.stack.receiver import Answer

_ROOT: Final = Path(__file__).parents[2]
_SCRIPTS: Final = 15  # of each treasury, so that no history gets long
LIFE_EVERY: Final = 3.0
FAULT_SECONDS: Final = (2.0, 8.0)
SAMPLE_EVERY: Final = 10.0
STEADY: Final = 204


def _scripts(name: str) -> list[bytes]:
    # of a witness version still to come, as in tests/daemon: the toy chain need not sign
    return [b"\x52\x20" + hashlib.sha256(f"{name} {n}".encode()).digest() for n in range(_SCRIPTS)]


TREASURIES: Final = {name: _scripts(name) for name in ("alpha", "beta")}


class Soak:
    """The parts, up; `play` lets them live and fail, `quiet` ends every fault."""

    def __init__(self, rng: Random, folder: Path) -> None:
        self.rng = rng
        self.folder = folder
        self.chain = ToyChain()
        self.life = ToyLife(self.chain, TREASURIES, rng)
        self.electrums = (ToyElectrum(self.chain), ToyElectrum(self.chain, pads=True))
        self.esplora = ToyEsplora(self.chain)
        self.toxics: tuple[Toxic, ...] = ()
        self.receiver = Receiver()
        self.daemon = Daemon("", folder)
        self.faults: Counter[str] = Counter()
        self.samples: list[Sample] = []

    @property
    def ledger(self) -> Path:
        """The daemon's."""
        return path_in(self.folder / "state")

    @property
    def pid(self) -> int:
        """The daemon's."""
        return self.daemon.child.pid

    async def play(self, seconds: float) -> None:
        """Let it live for so long; every task fails the test by its own exception."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one)
                for one in (
                    self._live(),
                    self._fail(),
                    self._fail_to_take(),
                    self._read(),
                    self._sample(time.monotonic()),
                )
            ]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()

    async def quiet(self) -> None:
        """All answer honestly again, and the daemon has caught up with them."""
        self.chain.mine(2)
        await until(self._is_settled, within=300, what="the balances after the last fault")

    async def _is_settled(self) -> bool:
        tip = await self.daemon.metric("watcher_tip_height")
        return tip == self.chain.height and (await self.daemon.get("/freshz")).status == 200

    # -- what happens ---------------------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            self.life.step()
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * LIFE_EVERY)

    async def _fail(self) -> None:
        """One fault of a source after another, each for a few seconds; the others are well meanwhile."""
        verbs: dict[str, Callable[[], AsyncIterator[None]]] = {
            "latency": lambda: self._toxic("latency", 1.5),
            "slices": lambda: self._toxic("slices", 11),
            "rate": lambda: self._toxic("rate", 2_000.0),
            "limit": lambda: self._toxic("limit", 3_000),
            "stalled": lambda: self._toxic("stalled", True),
            "resets": self._resets,
            "restart of a source": self._restart,
            "silent bells": self._silent,
            "garbage": self._garbage,
            "an explorer's 500": self._explorer,
            "a reload": self._reload,
        }
        while True:
            name = self.rng.choice(list(verbs))
            fault = verbs[name]()
            await anext(fault)
            self.faults[name] += 1
            try:
                await asyncio.sleep(self.rng.uniform(*FAULT_SECONDS))
            finally:
                await anext(fault, None)

    async def _toxic(self, what: str, value: float) -> AsyncIterator[None]:
        toxic = self.rng.choice(self.toxics)
        setattr(toxic, what, value)
        if what == "limit":
            toxic.reset()  # it counts from the connection on
        yield
        setattr(toxic, what, False if what == "stalled" else None)
        toxic.reset()

    async def _resets(self) -> AsyncIterator[None]:
        for toxic in self.toxics:
            toxic.reset()
        yield

    async def _restart(self) -> AsyncIterator[None]:
        server = self.rng.choice(self.electrums)
        await server.stop()
        yield
        await server.start()

    async def _silent(self) -> AsyncIterator[None]:
        server = self.rng.choice(self.electrums)
        server.faults.silent_bells = True
        yield
        server.faults.silent_bells = False

    async def _garbage(self) -> AsyncIterator[None]:
        self.rng.choice(self.electrums).garbage(self.rng.randbytes(200) + b"\n")
        yield

    async def _explorer(self) -> AsyncIterator[None]:
        self.esplora.answer("*", status=self.rng.choice([500, 429]), text="<html>no</html>")
        yield
        self.esplora.bends.clear()

    async def _reload(self) -> AsyncIterator[None]:
        good = self.daemon.config
        self.daemon.path.write_text(self.rng.choice([good, good + "\nnonsense = 1\n"]))
        self.daemon.child.signal(signal.SIGHUP)
        yield
        self.daemon.write_config()

    async def _fail_to_take(self) -> None:
        """The receiver is well for a while, then is not, in one of many ways."""
        ways: dict[str, Answer] = {
            "receiver 500": status(500),
            "receiver 429": status(429, {"retry-after": "2"}),
            "receiver hangs": hang,
            "receiver closes": close,
        }
        while True:
            await asyncio.sleep(self.rng.uniform(5, 20))
            name = self.rng.choice(list(ways))
            self.faults[name] += 1
            self.receiver.answer = ways[name]
            try:
                await asyncio.sleep(self.rng.uniform(*FAULT_SECONDS))
            finally:
                self.receiver.answer = status(STEADY)

    async def _read(self) -> None:
        """A scrape every second, a page now and then, and followers that leave in the middle."""
        paths = (
            "/metrics",
            "/metrics",
            "/metrics",
            "/",
            "/treasuries/alpha",
            "/api/v1/events?limit=50",
            "/feed.atom",
        )
        while True:
            reply = await self.daemon.get(self.rng.choice(paths), within=30)
            assert reply.status == 200, reply
            if self.rng.random() < 0.2:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", int(self.daemon.url.rsplit(":", 1)[1])
                )
                writer.write(b"GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert await reader.read(1)
                writer.transport.abort()
            await asyncio.sleep(1)

    async def _sample(self, began: float) -> None:
        while True:
            self.samples.append(
                Sample.of(
                    self.pid, at=time.monotonic() - began, tasks=await self._tasks(), ledger=self.ledger
                )
            )
            await asyncio.sleep(SAMPLE_EVERY)

    async def _tasks(self) -> int:
        file = self.folder / "tasks"
        file.unlink(missing_ok=True)
        self.daemon.child.signal(signal.SIGUSR1)

        async def told() -> str:
            return file.read_text() if file.exists() else ""

        return int(await until(told, within=60, what="the count of tasks"))


@asynccontextmanager
async def soaking(rng: Random, folder: Path) -> AsyncIterator[Soak]:
    """Everything up, the first reading done."""
    soak = Soak(rng, folder)
    async with AsyncExitStack() as stack:
        for server in (*soak.electrums, soak.esplora):
            await stack.enter_async_context(server)
        ports = [server.port for server in (*soak.electrums, soak.esplora)]
        soak.toxics = tuple([await stack.enter_async_context(Toxic(port)) for port in ports])
        await stack.enter_async_context(soak.receiver)
        soak.daemon = _daemon(soak)
        await stack.enter_async_context(soak.daemon)
        await until(lambda: _is_fresh(soak.daemon), within=120, what="the first reading")
        yield soak


async def _is_fresh(daemon: Daemon) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return (await daemon.get("/freshz")).status == 200
    return False


def _daemon(soak: Soak) -> Daemon:
    for name, scripts in TREASURIES.items():
        (soak.folder / f"{name}.csv").write_text("\n".join(["address", *map(address, scripts)]) + "\n")
    (soak.folder / "ops.secret").write_text(SECRET)
    kinds = ("electrum", "electrum", "esplora")
    sources = "".join(
        f'[[sources]]\nname = "{kind}-{n}"\nkind = "{kind}"\nurl = "{url}"\n{budget}\n'
        for n, (kind, url, budget) in enumerate(
            zip(
                kinds,
                (soak.toxics[0].url, soak.toxics[1].url, f"http://127.0.0.1:{soak.toxics[2].port}/api"),
                ("", "", 'budget = ["50/s", "100000/h"]'),
                strict=True,
            )
        )
    )
    treasuries = "".join(
        f'[[treasuries]]\nname = "{name}"\n[[treasuries.watch]]\naddresses_file = "{name}.csv"\n'
        for name in TREASURIES
    )
    config = _CONFIG.format(
        listen=f"127.0.0.1:{free_port()}", sources=sources, treasuries=treasuries, receiver=soak.receiver.url
    )
    daemon = Daemon(config, soak.folder)
    daemon.child = Child(
        [sys.executable, "-m", "tests.years.counted", "--config", daemon.path, "run"],
        log=daemon.child.log,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "TASKS_FILE": str(soak.folder / "tasks")},
        cwd=_ROOT,
    )
    return daemon


_CONFIG: Final = """network = "regtest"
state_directory = "state"
[http]
listen = "{listen}"
[quorum]
sources = 2
[timing]
reread = "5s"
dropped_after = "1m"
{sources}{treasuries}
[[rules]]
name = "everything"
on = ["any", "chain", "watch"]
at = ["seen", "confirmed", "final"]
send_to = ["ops"]
[[endpoints]]
name = "ops"
kind = "webhook"
url = "{receiver}"
secret_file = "ops.secret"
allow_private = true
"""
