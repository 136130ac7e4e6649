"""The daemon itself, as a child process, seen as an operator sees it."""

from __future__ import annotations

import asyncio
import http.client
import os
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.stack import loopback
from tests.stack.processes import Child

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = Path(__file__).parents[2]
# What a service manager or an operator's shell would set, and a test's daemon must not inherit.
_NOT_INHERITED = (
    "TREASURY_WATCHER_CONFIG",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


class Daemon:
    """`async with Daemon(config, directory) as daemon`: ready (`/readyz`), and killed at the end.

    `config` is TOML with `[http] listen` on a loopback port; it is written to `directory/watcher.toml`
    at each start, its relative paths are relative to `directory`, and the log goes to `daemon.log` there.
    """

    def __init__(self, config: str, directory: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.directory = directory
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        self._environment = {**inherited, "PYTHONPATH": str(_ROOT), **(environment or {})}
        self.child = Child(
            [*self._command, "run"], log=directory / "daemon.log", env=self._environment, cwd=_ROOT
        )

    @property
    def path(self) -> Path:
        """The config file."""
        return self.directory / "watcher.toml"

    @property
    def url(self) -> str:
        """Scheme, host and port of its HTTP server."""
        return f"http://{tomllib.loads(self.config)['http']['listen']}"

    @property
    def _command(self) -> list[str]:
        return [sys.executable, "-m", "watcher", "--config", str(self.path)]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.child.kill()

    async def start(self, *, within: float = 180) -> None:
        """Start it, again after an end, until it is ready; raises `ChildError` with its last words."""
        self.write_config()
        self.child.start()
        await self.child.ready(self.ready, within=within)

    def write_config(self) -> None:
        """Write `config` where the daemon reads it, which it does when started or told to reload."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.config)

    def kill(self) -> None:
        """SIGKILL, to the process and all that it started."""
        self.child.kill()

    async def terminate(self, *, within: float = 60) -> int:
        """SIGTERM; its exit code."""
        return await self.child.terminate(within=within)

    async def restart(self) -> None:
        """End it in order and start it again; raises `AssertionError` when it does not exit with 0."""
        code = await self.terminate()
        assert code == 0, f"exit {code}\n{self.child.tail()}"
        await self.start()

    async def ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            return (await self.get("/readyz", within=10)).status == 200
        except (OSError, http.client.HTTPException):
            return False

    async def get(self, path: str, *, within: float = 60) -> loopback.Reply:
        """The answer to a GET, whatever its status."""
        return await loopback.request(self.url + path, within=within)

    async def read(self, path: str) -> loopback.Reply:
        """The good answer to a GET, asked again for a minute while the ledger cannot be read just now.

        It breaks off what takes ten seconds, which on a starved machine anything may.
        """
        deadline = time.monotonic() + 60
        while True:
            reply = await self.get(path)
            again = reply.status == 503 and "Retry-After" in reply.headers
            if not again or time.monotonic() > deadline:
                assert reply.status == 200, reply
                return reply
            await asyncio.sleep(0.2)

    async def metrics(self) -> str:
        """The text of `/metrics`."""
        return (await self.read("/metrics")).body.decode()

    async def metric(self, name: str, **labels: str) -> float | None:
        """The one sample with this name and at least these labels, None when there is none."""
        found = [
            sample.value
            for family in text_string_to_metric_families(await self.metrics())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, f"{name} {labels} is ambiguous: {len(found)} samples"
        return found[0] if found else None

    async def events(self) -> list[dict[str, Any]]:
        """The whole log, oldest first, by `/api/v1/events`."""
        events: list[dict[str, Any]] = []
        after = ""
        while True:
            page = (await self.read(f"/api/v1/events?limit=1000{after}")).json()
            if not page["events"]:
                return events
            events += page["events"]
            after = f"&after={page['next']}"

    async def command(self, *words: str, within: float = 180) -> Outcome:
        """What `watcher --config … WORDS` does, beside the running daemon or without one."""

        def run() -> Outcome:
            done = subprocess.run(
                [*self._command, *words],
                env=self._environment,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=within,
                check=False,
            )
            return Outcome(done.returncode, done.stdout, done.stderr)

        return await asyncio.to_thread(run)
