"""The heartbeat is pinged while all is well; else nobody is, or the fail URL, which is told why."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from watcher.config.credentials import SecretFile
from watcher.config.document import Document
from watcher.config.settings import Heartbeat as HeartbeatConfig
from watcher.config.urls import Url, parse_url
from watcher.service.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path


@dataclass
class Service:
    """What came, as "METHOD /path body"; a heartbeat that goes there, and what is the matter with it."""

    config: HeartbeatConfig = field(init=False)
    came: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    reached: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.came.append(f"{request.method} {request.path} {await request.text()}".strip())
        return web.Response(text="x" * 100_000)

    async def is_stuck(self) -> Sequence[str]:
        return self.stuck

    async def is_stale(self) -> Sequence[str]:
        return self.stale

    def count(self) -> None:
        self.reached += 1

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(
            lambda: self.config, {}, stuck=self.is_stuck, unwell=self.is_stale, reached=self.count
        )


@asynccontextmanager
async def service(tmp_path: Path, *, fail: bool) -> AsyncIterator[Service]:
    there = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    file = tmp_path / "fail.url"
    file.write_text(f"{url}/fail\n")
    place = Document(tmp_path / "watcher.toml", "", {}).top
    there.config = HeartbeatConfig(
        parse_url(f"{url}/up", ("http",)), SecretFile(file, place) if fail else None, 60.0
    )
    yield there
    await runner.cleanup()


async def test_all_is_well(tmp_path: Path) -> None:
    async with service(tmp_path, fail=True) as there:
        await there.heartbeat().beat(there.config)
        assert there.came == ["GET /up"]
        assert there.reached == 1


async def test_what_is_stuck_is_not_vouched_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with service(tmp_path, fail=False) as there:
        heartbeat = there.heartbeat()
        there.stuck = ["the watching does not get on", "the outbox does not get on"]
        await heartbeat.beat(there.config)
        await heartbeat.beat(there.config)
        assert there.came == []
        assert there.reached == 0
        assert [record.message for record in caplog.records] == [
            "no heartbeat is sent: the watching does not get on; the outbox does not get on"
        ]


async def test_the_fail_url_hears_every_reason(tmp_path: Path) -> None:
    async with service(tmp_path, fail=True) as there:
        heartbeat = there.heartbeat()
        there.stuck = ["the ledger cannot be written"]
        await heartbeat.beat(there.config)
        there.stuck = []
        there.stale = ["treasury alpha is stale: too_old", "treasury beta is stale: no_source"]
        await heartbeat.beat(there.config)
        assert there.came == [
            "POST /fail the ledger cannot be written",
            "POST /fail treasury alpha is stale: too_old\ntreasury beta is stale: no_source",
        ]
        assert there.reached == 0


async def test_a_stale_treasury_does_not_silence_a_heartbeat_without_a_fail_url(tmp_path: Path) -> None:
    async with service(tmp_path, fail=False) as there:
        there.stale = ["treasury alpha is stale: too_old"]
        await there.heartbeat().beat(there.config)
        assert there.came == ["GET /up"]


async def test_a_url_that_is_gone_is_said_and_nothing_else_happens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(tmp_path, fail=True) as there:
        (tmp_path / "fail.url").unlink()
        there.stale = ["treasury alpha is stale: too_old"]
        await there.heartbeat().beat(there.config)
        assert there.came == []
        assert "the heartbeat cannot be sent: " in caplog.text


@pytest.mark.parametrize("host", ["hc..example", f"{'a' * 64}.example"])
async def test_a_host_that_no_resolver_takes_is_not_reached(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    """No config has one; should a way be found around its check, the beats go on."""
    async with service(tmp_path, fail=False) as there:
        there.config = HeartbeatConfig(Url("http", host, 80, f"http://{host}/up"), None, 60.0)
        await there.heartbeat().beat(there.config)
        assert [r.message for r in caplog.records] == [f"the heartbeat did not reach http://{host}: dns"]
        assert there.reached == 0
