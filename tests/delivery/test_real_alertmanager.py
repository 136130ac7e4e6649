"""A real Alertmanager, asked by its own amtool: what fires, what is resolved, what two daemons tell."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import subprocess
import time
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.rig import Receiver, target
from tests.delivery.rig import until as until_holds
from tests.delivery.samples import SAMPLES, body, texts, transaction
from tests.delivery.test_conformance import group
from tests.stack import fetch
from tests.stack.loopback import request
from tests.stack.processes import Child, free_port, until
from watcher.delivery.alertmanager import PATH, AlertmanagerSender
from watcher.delivery.http import Poster
from watcher.delivery.verdict import Delivered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real

CLOCK = "TreasuryClaimMismatch"
SOON = 120.0  # seconds: what it does by itself takes a few
CONFIG = """
route:
  receiver: hook
  group_by: ["..."]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs:
      - url: URL
"""


class Alertmanager:
    """One running."""

    def __init__(self, programs: fetch.Monitoring, port: int, hook: Receiver, child: Child) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.hook = hook
        self._amtool = programs.amtool
        self._child = child

    async def start(self) -> None:
        """Until it is ready."""
        self._child.start()
        await self._child.ready(self._ready, within=120)

    async def restart(self) -> None:
        """Of its alerts it keeps none, of what it told everything."""
        await self._child.terminate(within=30)
        await self.start()

    async def _ready(self) -> bool:
        try:
            return (await request(f"{self.url}/-/ready", within=2)).status == 200
        except (OSError, http.client.HTTPException):
            return False

    async def has_noted(self) -> None:
        """Until it has noted what it told first: it looks at that group again only afterwards."""

        async def looked_again() -> bool:
            page = (await request(f"{self.url}/metrics")).body.decode()
            (looks,) = re.findall(r"^alertmanager_nflog_queries_total (\S+)$", page, re.MULTILINE)
            return float(looks) > 1

        await until(looked_again, within=SOON, what="a second look at the first group")

    async def alerts(self) -> list[dict[str, Any]]:
        """What amtool shows as active."""

        def ask() -> bytes:
            command = [str(self._amtool), "alert", "query", f"--alertmanager.url={self.url}", "-o", "json"]
            return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout

        found: list[dict[str, Any]] = json.loads(await asyncio.to_thread(ask))
        return found

    @property
    def notified(self) -> list[tuple[str, str]]:
        """(status, alertname) of what it told its own receiver, in order, without the clock's."""
        return [told for told in self.told if told[1] != CLOCK]

    @property
    def told(self) -> list[tuple[str, str]]:
        """The same with the clock's."""
        bodies = [json.loads(each.body) for each in self.hook.requests]
        return [(a["status"], a["labels"]["alertname"]) for content in bodies for a in content["alerts"]]


@asynccontextmanager
async def alertmanager(directory: Path) -> AsyncIterator[Alertmanager]:
    programs = await asyncio.to_thread(fetch.monitoring)
    port = free_port()
    async with Receiver() as hook:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "am.yml").write_text(CONFIG.replace("URL", hook.url))
        child = Child(
            [
                programs.alertmanager,
                f"--config.file={directory / 'am.yml'}",
                f"--storage.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            log=directory / "am.log",
        )
        running = Alertmanager(programs, port, hook, child)
        try:
            await running.start()
            yield running
        finally:
            child.kill()


async def send(manager: Alertmanager, *bodies: str) -> None:
    """As a daemon of its own would."""
    poster = Poster(target(manager.url + PATH), now=time.time)
    async with AlertmanagerSender([poster], texts("en"), now=time.time) as sender:
        assert await sender.send(group(*bodies)) == Delivered(200)


async def another_condition(manager: Alertmanager) -> None:
    """Fire and resolve it, twice: that takes as many group intervals, in which others could repeat."""
    for _ in range(2):
        for told in ("claim.mismatched", "claim.matched"):
            before = len(manager.told)
            await send(manager, body(told, incident="inc_clock", claim="clock"))
            await until_holds(lambda before=before: len(manager.told) > before, SOON)


async def test_it_takes_every_sample(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as manager:
        await send(manager, *[bodies[0] for bodies in SAMPLES.values()])
        assert len(await manager.alerts()) > 10


async def test_a_condition_fires_and_is_resolved_once_also_with_two_daemons(tmp_path: Path) -> None:
    firing = body("treasury.stale", condition="stale", reason="timeout")
    resolved = body("treasury.fresh", condition="stale")
    async with alertmanager(tmp_path) as manager:
        for _daemon in range(2):
            await send(manager, firing)
        await until_holds(lambda: bool(manager.notified), SOON)
        (alert,) = await manager.alerts()
        assert alert["labels"]["alertname"] == "TreasuryStale"
        assert alert["labels"].keys() == {"alertname", "treasury", "network", "severity", "incident"}
        assert alert["annotations"]["summary"].startswith("[CRITICAL] El Salvador")
        for _daemon in range(2):
            await send(manager, resolved)
        await until_holds(lambda: len(manager.notified) > 1, SOON)
        assert await manager.alerts() == []
        await another_condition(manager)
        assert manager.notified == [("firing", "TreasuryStale"), ("resolved", "TreasuryStale")]


async def test_an_outflow_of_two_daemons_is_one_alert_and_one_told_late_fires_too(tmp_path: Path) -> None:
    def seen_by(log: str) -> str:
        return transaction("tx.seen", "outflow", log=log, sequence=len(log), url=None, sources=[log])

    async with alertmanager(tmp_path) as manager:
        for log in ("a", "bb"):
            await send(manager, seen_by(log))
        await until_holds(lambda: bool(manager.notified), SOON)
        (alert,) = await manager.alerts()
        assert alert["labels"]["alertname"] == "TreasuryOutflow"
        left = time.time() + 3_600 - _epoch(alert["endsAt"])
        assert 0 <= left < 600
        await another_condition(manager)
        assert manager.notified == [("firing", "TreasuryOutflow")]


def _epoch(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
