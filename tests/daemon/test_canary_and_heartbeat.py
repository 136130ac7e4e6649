"""What shows that the way to people is open: canaries to endpoints, and pings to a service outside."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from tests.daemon.places import Place, fresh, log_has
from tests.stack.processes import until
from tests.stack.receiver import Receiver, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

SUCCESS = "watcher_canary_last_success_timestamp_seconds"
HEARTBEAT = "watcher_heartbeat_last_success_timestamp_seconds"
TOKEN = "c0ffee-not-for-logs"


class Pinged:
    """A service that waits for pings: each is (method, path, body)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/{TOKEN}"
        self.pings: list[tuple[str, str, str]] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        self.pings.append((request.method, request.path, await request.text()))
        return web.Response(status=self.status, headers={"location": "/elsewhere"})

    async def ping(self, path: str, *, after: int = 0) -> tuple[str, str, str]:
        """The last ping of this path, once there is one beyond so many pings of any."""

        async def found() -> tuple[str, str, str] | None:
            return next((ping for ping in reversed(self.pings[after:]) if ping[1] == path), None)

        return await until(found, within=60, what=f"a ping of {path}")


@asynccontextmanager
async def pinged() -> AsyncIterator[Pinged]:
    listener = socket.create_server(("127.0.0.1", 0))
    service = Pinged(listener.getsockname()[1])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    yield service
    await runner.cleanup()


def beating(place: Place, service: Pinged, *, fail: bool = False, stale_after: str = "5m") -> str:
    """A config whose heartbeat goes to the service."""
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / "heartbeat.url").write_text(f"{service.url}/up\n")
    (place.folder / "fail.url").write_text(f"{service.url}/fail\n")
    told = place.config().replace('reread = "2s"', f'reread = "1s"\nstale_after = "{stale_after}"')
    failing = 'fail_url_file = "fail.url"\n' if fail else ""
    return f'{told}\n[heartbeat]\nurl_file = "heartbeat.url"\n{failing}every = "200ms"\n'


def canaries(receiver: Receiver) -> set[str]:
    """The ids of those that came."""
    return {one.id for one in receiver.verified if one.type == "watcher.canary"}


async def metric_is_there(daemon: Daemon, name: str, **labels: str) -> float:
    async def there() -> float | None:
        return await daemon.metric(name, **labels)

    return await until(there, within=60, what=name)


async def test_canaries_go_to_whoever_asks_for_them(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        quiet = place.config(
            extra=f"""
[[endpoints]]
name = "bird"
kind = "webhook"
url = "{receiver.url}/bird"
secret_file = "ops.secret"
allow_private = true
canary = true

[canary]
every = "300ms"
"""
        )
        async with place.daemon(quiet) as daemon:

            async def three() -> bool:
                return len(canaries(receiver)) >= 3

            await until(three, within=60, what="three canaries")
            came = [one for one in receiver.verified if one.type == "watcher.canary"]
            assert {one.path for one in came} == {"/hook/bird"}
            assert {one.data["endpoint"] for one in came} == {"bird"}
            logged = [event for event in await daemon.events() if event["type"] == "watcher.canary"]
            assert canaries(receiver) <= {event["data"]["id"] for event in logged}
            assert await metric_is_there(daemon, SUCCESS, endpoint="bird") > 0
            assert await daemon.metric(SUCCESS, endpoint="ops") is None


async def test_while_a_canary_waits_no_other_is_made(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.answer = status(503)
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        asking = place.config(extra='canary = true\n\n[canary]\nevery = "300ms"\n')
        async with place.daemon(asking) as daemon:

            async def tried_thrice() -> bool:
                return len([one for one in receiver.verified if one.type == "watcher.canary"]) >= 3

            # whoever says 503 is spared for five seconds after each
            await until(tried_thrice, within=120, what="three attempts")
            assert len(canaries(receiver)) == 1
            assert await daemon.metric(SUCCESS, endpoint="ops") is None
            receiver.answer = status(204)
            first = await metric_is_there(daemon, SUCCESS, endpoint="ops")
            await daemon.restart()
            assert await metric_is_there(daemon, SUCCESS, endpoint="ops") >= first


async def test_a_heartbeat_is_sent_and_its_url_never_logged(toy: ToyElectrum, tmp_path: Path) -> None:
    async with pinged() as service:
        place = Place(tmp_path, {"home": toy.url})
        async with place.daemon(beating(place, service)) as daemon:
            assert await service.ping(f"/{TOKEN}/up") == ("GET", f"/{TOKEN}/up", "")
            assert await metric_is_there(daemon, HEARTBEAT) > 0
            service.status = 302
            await log_has(daemon, "the heartbeat did not reach http://127.0.0.1: HTTP status 302")
            assert not [ping for ping in service.pings if ping[1] == "/elsewhere"]
            service.status = 200
            await log_has(daemon, "the heartbeat is taken again")
            log = daemon.child.log.read_text()
            assert log.count("HTTP status 302") == 1
            assert TOKEN not in log
            assert TOKEN not in await daemon.metrics()


async def test_a_stale_treasury_is_told_to_the_fail_url_instead(toy: ToyElectrum, tmp_path: Path) -> None:
    async with pinged() as service:
        place = Place(tmp_path, {"home": toy.url})
        async with place.daemon(beating(place, service, fail=True, stale_after="3s")) as daemon:
            await fresh(daemon)
            await service.ping(f"/{TOKEN}/up")
            await toy.stop()

            async def is_stale() -> bool:
                (home,) = (await daemon.get("/api/v1/sources")).json()["sources"]
                return not home["up"] and (await daemon.get("/freshz")).status == 503

            # a starved daemon may have been stale for a moment before; from here on nothing makes it fresh
            await until(is_stale, within=60, what="a stale treasury without a source")
            method, _, reason = await service.ping(f"/{TOKEN}/fail", after=len(service.pings))
            assert method == "POST"
            assert "treasury alpha is stale: " in reason
            # while it lasts, that is all that is pinged
            after = len(service.pings)

            async def two_more() -> bool:
                return len(service.pings) >= after + 2

            await until(two_more, within=60, what="two more pings")
            assert {ping[1] for ping in service.pings[after:]} == {f"/{TOKEN}/fail"}
            await toy.start()


async def test_a_service_that_never_answers_holds_nothing_up(toy: ToyElectrum, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        service = Pinged(silent.getsockname()[1])
        place = Place(tmp_path, {"home": toy.url})
        async with place.daemon(beating(place, service)) as daemon:
            await fresh(daemon)
            connection, _ = await asyncio.to_thread(silent.accept)
            with connection:
                assert await daemon.metric(HEARTBEAT) is None
                assert await daemon.terminate() == 0
