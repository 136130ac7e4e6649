"""The log as server-sent events: nothing lost, nothing twice, and nobody kept waiting for a slow client."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.web.reading import page
from watcher.web.stream import StreamLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

STREAM = "/api/v1/events/stream"


@dataclass
class Told:
    """One block of a stream; a comment has neither id nor data."""

    id: str = ""
    event: str = ""
    data: dict[str, Any] | None = None
    comment: bool = False


async def blocks(response: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    """The stream's blocks, read as the standard says."""
    told = Told()
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(":")
        value = value.removeprefix(" ")
        if line == b"\n":
            yield told
            told = Told()
        elif name == "id":
            told.id = value
        elif name == "event":
            told.event = value
        elif name == "data":
            told.data = json.loads(value)
        elif not name:
            told.comment = True


@asynccontextmanager
async def listening(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None
) -> AsyncIterator[AsyncIterator[Told]]:
    async with http.get(url, headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        yield blocks(response)


@asynccontextmanager
async def deaf(url: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A client that asks and does not read; gives what counts the bytes it was still sent."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.setblocking(False)
        await loop.sock_connect(client, (parts.hostname, parts.port))
        request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        await loop.sock_sendall(client, request.encode())

        async def left() -> int:
            count = 0
            with suppress(ConnectionResetError):
                while chunk := await asyncio.wait_for(loop.sock_recv(client, 65_536), 60):
                    count += len(chunk)
            return count

        yield left


async def events(stream: AsyncIterator[Told], count: int) -> list[Told]:
    """The next events; ids without data and comments are passed over."""
    found: list[Told] = []
    while len(found) < count:
        told = await asyncio.wait_for(anext(stream), 60)
        if told.data is not None:
            found.append(told)
    return found


async def test_a_stream_tells_each_event_as_the_api_does(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    async with serve() as bound:
        async with http.get(f"{bound.url}/api/v1/events") as response:
            log = (await response.json())["events"]
        async with listening(http, f"{bound.url}{STREAM}?after={ledger.log}:0") as stream:
            told = await events(stream, 5)
    assert [each.data for each in told] == log
    assert [each.id for each in told] == [f"{ledger.log}:{n}" for n in range(1, 6)]
    assert [each.event for each in told] == [each["type"] for each in log]


async def test_what_is_committed_is_told_at_once_to_who_began_now(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    limits = StreamLimits(heartbeat=3_600)  # so that only the bell can have woken it
    async with serve(limits=limits) as bound, listening(http, f"{bound.url}{STREAM}") as stream:
        beginning = await asyncio.wait_for(anext(stream), 60)
        assert (beginning.id, beginning.data) == (f"{ledger.log}:5", None)
        for n in range(3):
            ledger.event("tx.seen", "alpha", text=f"line\none {n} \u2028")
            daemon.bell.ring()
            (told,) = await events(stream, 1)
            assert told.data is not None
            assert (told.id, told.data["data"]["sequence"]) == (f"{ledger.log}:{6 + n}", 6 + n)


async def test_nothing_is_lost_over_reconnects_while_events_come(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    """A client that breaks off after any event, also in the middle of the log's growth, gets each once."""
    total, last = 305, f"{ledger.log}:5"
    seen: list[str] = []

    async def grow() -> None:
        for _ in range(300):
            ledger.event("tx.seen", "alpha")
            daemon.bell.ring()
            await asyncio.sleep(0)

    async with serve() as bound, asyncio.TaskGroup() as group:
        group.create_task(grow())
        take = 1
        while len(seen) < 300:
            # the browser's way: the URL stays that of the first time, the header says where it was
            url = f"{bound.url}{STREAM}?after={ledger.log}:5"
            async with listening(http, url, {"Last-Event-ID": last}) as stream:
                for told in await events(stream, min(take, 300 - len(seen))):
                    seen.append(told.id)
                    last = told.id
            take = take * 2 % 61 + 1
    assert seen == [f"{ledger.log}:{n}" for n in range(6, total + 1)]


async def test_a_client_that_never_reads_is_dropped_and_keeps_nobody_waiting(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    ledger.sql("BEGIN")
    for _ in range(1_000):
        ledger.event("tx.seen", "alpha", text="x" * 19_000)
    ledger.sql("COMMIT")
    # far more than a starved machine takes to read what it has sent itself
    limits = StreamLimits(streams=2, patience=5)
    async with serve(limits=limits) as bound:
        url = f"{bound.url}{STREAM}?after={ledger.log}:0"
        async with deaf(url) as left, listening(http, url) as stream:
            assert len(await events(stream, 1_005)) == 1_005
            # once the deaf one is dropped there is room for another
            while True:
                async with http.get(f"{bound.url}{STREAM}") as response:
                    if response.status == 200:
                        break
            assert await left() < 19_000 * 1_000


async def test_only_so_many_streams_are_open_at_once(serve: Open, http: aiohttp.ClientSession) -> None:
    limits = StreamLimits(streams=2)
    async with (
        serve(limits=limits) as bound,
        listening(http, f"{bound.url}{STREAM}"),
        listening(http, f"{bound.url}{STREAM}"),
        http.get(f"{bound.url}{STREAM}") as third,
    ):
        assert (third.status, third.content_type) == (503, "application/problem+json")
        assert "Retry-After" in third.headers


async def test_who_asks_only_for_the_headers_holds_no_stream(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve(limits=StreamLimits(streams=1)) as bound:
        for _ in range(3):
            async with http.head(f"{bound.url}{STREAM}") as response:
                assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_a_silent_log_is_told_by_comments(serve: Open, http: aiohttp.ClientSession) -> None:
    async with (
        serve(limits=StreamLimits(heartbeat=0.01)) as bound,
        listening(http, f"{bound.url}{STREAM}") as stream,
    ):
        told = [await asyncio.wait_for(anext(stream), 60) for _ in range(3)]
    assert [each.comment for each in told] == [False, True, True]


@pytest.mark.parametrize(
    ("cursor", "status"),
    [("LOG:6", 400), ("LOG", 400), ("LOG:x", 400), ("other:1", 410), ("LOG:5", 200)],
)
async def test_a_cursor_that_cannot_be_gone_on_from_is_refused(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, cursor: str, status: int
) -> None:
    cursor = cursor.replace("LOG", ledger.log)
    async with serve() as bound:
        async with http.get(f"{bound.url}{STREAM}?after={cursor}") as response:
            assert response.status == status
        async with http.get(f"{bound.url}{STREAM}", headers={"Last-Event-ID": cursor}) as response:
            assert response.status == status


async def test_the_daemon_goes_down_without_waiting_for_streams(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        response = await http.get(f"{bound.url}{STREAM}")
    # the end is a whole one: the last chunk was sent
    assert b"id: " in await asyncio.wait_for(response.read(), 60)


@pytest.mark.parametrize("path", ["/", "/treasuries/alpha"])
async def test_a_page_follows_from_what_it_shows_whatever_comes_while_it_is_made(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon, path: str
) -> None:
    """What is committed between two reads is not in the balance, so the stream has to tell it."""
    came: list[int] = []

    def committed() -> None:
        ledger.sql("UPDATE treasuries SET confirmed = confirmed + 100000000 WHERE name = 'alpha'")
        came.append(ledger.event("tx.confirmed", "alpha", delta=(100_000_000, 0), flow="inflow"))
        daemon.before_read = lambda: None

    def first_read() -> None:
        daemon.before_read = committed

    daemon.before_read = committed if path == "/" else first_read
    async with serve() as bound:
        found = await page(http, f"{bound.url}{path}")
    assert "5.20000000 BTC" in found.text("section", class_="card")[0]
    assert came == [6]
    assert found.all("main")[0].attributes["data-cursor"] == f"{ledger.log}:5"
