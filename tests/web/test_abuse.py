"""What strangers do to an HTTP server; each time the next honest request is served."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.stack.processes import until
from tests.web.test_access import ADMIN, READ, TOKENS
from watcher.web.connections import ConnectionLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon
    from watcher.web.server import Bound

HOSTILE = '\u202e"\'<script>alert(1)</script>\n=HYPERLINK("http://evil")'


class Client:
    """A connection that speaks when told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, bound: Bound, stack: AsyncExitStack) -> Client:
        parts = urlsplit(bound.url or "")
        client = cls(*await asyncio.open_connection(parts.hostname, parts.port))
        stack.callback(client.writer.close)
        return client

    async def gone(self) -> bytes:
        """What it says until it ends the connection."""
        said = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(60):
                said = await self.reader.read()
        return said


@pytest.fixture
def many_files() -> Iterator[int]:
    """As many descriptors as this process may have; how many."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def is_served(http: aiohttp.ClientSession, bound: Bound, path: str = "/api/v1/treasuries") -> bool:
    async with http.get(f"{bound.url}{path}") as response:
        return response.status == 200


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.fuzz)])
async def test_thousands_of_idle_connections_are_bounded_and_make_room(
    serve: Open, http: aiohttp.ClientSession, many_files: int, count: int
) -> None:
    assert many_files > count + 1_000
    async with serve() as bound, AsyncExitStack() as stack:
        before = descriptors()
        idle = [await Client.of(bound, stack) for _ in range(count)]
        assert await is_served(http, bound)
        # one here for each, and the server's: the limit and what came in a burst
        assert descriptors() - before - count < 400
        for client in idle[: count - 400]:
            assert await client.gone() == b""  # the oldest made room long ago


async def test_beyond_the_limit_who_asked_stays_and_who_never_asked_goes(serve: Open) -> None:
    async with serve(connection_limits=ConnectionLimits(most=4)) as bound, AsyncExitStack() as stack:
        asked = [await Client.of(bound, stack) for _ in range(3)]
        for client in asked:
            client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await client.reader.readline()
        idle, next_ = await Client.of(bound, stack), await Client.of(bound, stack)
        assert await idle.gone() == b""
        next_.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in await next_.reader.readline()
        # now all four have asked: nobody is put out for another
        assert b" 503 " in await (await Client.of(bound, stack)).gone()
        asked[0].writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'"healthy"' in await asked[0].reader.readuntil(b"}")


async def test_a_client_that_does_not_take_its_answer_is_cut_off(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, ledger: SmallLedger
) -> None:
    """Its answers are larger than what the kernel holds for it."""
    ledger.sql("UPDATE treasuries SET title = ? WHERE name = 'alpha'", "x" * 1_000_000)
    limits = ConnectionLimits(patience=0.2)
    loop = asyncio.get_running_loop()
    async with serve(connection_limits=limits) as bound:
        parts = urlsplit(bound.url or "")
        request = f"GET /metrics HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        await daemon.snapshot()  # the first read opens files that stay open
        # over a connection that is kept, and with so small an answer that we are never the slow ones
        assert await is_served(http, bound, "/healthz")
        before = descriptors()
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            slow.setblocking(False)
            await loop.sock_connect(slow, (parts.hostname, parts.port))

            async def held(count: int) -> bool:
                assert await is_served(http, bound, "/healthz")
                return descriptors() == before + count

            await until(lambda: held(2), within=60, what="both ends of the connection")
            await loop.sock_sendall(slow, request * 9)
            await until(lambda: held(1), within=60, what="the server's end closed")


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/events/stream", "/api/v1/treasuries/alpha/history?format=csv"]
)
async def test_who_leaves_before_the_answer_begins_leaves_no_line_in_the_log(
    serve: Open,
    http: aiohttp.ClientSession,
    daemon: StillDaemon,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    """Each reload of a page in a browser leaves a stream; strangers could fill the log by it."""
    async with serve() as bound, AsyncExitStack() as stack:
        assert await is_served(http, bound)  # the ledger's files are open
        before, asked, left, read = descriptors(), asyncio.Event(), asyncio.Event(), daemon.read

        async def late(work: Any) -> Any:
            asked.set()
            await left.wait()
            return await read(work)

        async def closed() -> bool:
            return descriptors() == before

        daemon.read = late  # type: ignore[method-assign]
        client = await Client.of(bound, stack)
        port = urlsplit(bound.url or "").port
        client.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        await asked.wait()
        client.writer.transport.abort()
        await until(closed, within=60, what="both ends of the connection closed")
        left.set()
        # reads are done one after the other, so what waited is done when this is
        assert await is_served(http, bound, "/api/v1/events")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/treasuries/../../etc/passwd",
        "/treasuries/..%2f..%2fstate%2fendpoints",
        "/incidents/..%2f..%2f..%2fledger.db",
        "//etc/passwd",
        "/%00",
        "/treasuries/alpha%00.svg",
        "/api/v1/treasuries/%f0%28%8c%28",
    ],
)
async def test_no_path_leads_out(serve: Open, path: str) -> None:
    async with serve() as bound, AsyncExitStack() as stack:
        client = await Client.of(bound, stack)
        port = urlsplit(bound.url or "").port
        client.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        said = await client.gone()
        assert said.split(b" ")[1] in {b"400", b"404"}, said
        assert b"root:" not in said
        assert b"alpha" not in said


async def test_tokens_cannot_be_found_by_trying(serve: Open, http: aiohttp.ClientSession) -> None:
    now = 0.0
    async with serve(TOKENS, monotonic=lambda: now) as bound:

        async def status(token: str) -> int:
            async with http.get(
                f"{bound.url}/api/v1/treasuries", headers={"Authorization": f"Bearer {token}"}
            ) as response:
                if response.status == 429:
                    assert int(response.headers["Retry-After"]) >= 1
                return response.status

        async with http.post(f"{bound.url}/login", data={"token": READ}, allow_redirects=False) as response:
            cookie = response.cookies["treasury-watcher"].value
        assert [await status(f"guess-{n}") for n in range(12)] == [401] * 10 + [429] * 2
        # by trying on, not even the right one is found
        assert await status(ADMIN) == 429
        async with http.post(f"{bound.url}/login", data={"token": READ}, allow_redirects=False) as response:
            assert response.status == 429
        # whoever is logged in is not kept out by it
        async with http.get(
            f"{bound.url}/api/v1/treasuries", headers={"Cookie": f"treasury-watcher={cookie}"}
        ) as response:
            assert response.status == 200
        now = 6.5
        assert [await status("guess"), await status("guess")] == [401, 429]
        now = 100.0
        assert await status(ADMIN) == 200


@pytest.fixture
def hostile(ledger: SmallLedger) -> str:
    ledger.sql("UPDATE treasuries SET title = ?", HOSTILE)
    ledger.sql("UPDATE watches SET label = ?, published_by = ?, address = 'bcrt1qsecret'", HOSTILE, HOSTILE)
    return HOSTILE


async def test_no_error_tells_an_address_or_repeats_what_was_asked(
    serve: Open, http: aiohttp.ClientSession, hostile: str
) -> None:
    async with serve() as bound:
        for path in (
            *(
                "/treasuries/bcrt1qsecret<b>",
                "/api/v1/treasuries/bcrt1qsecret",
                "/api/v1/events?after=bcrt1q",
            ),
            *("/api/v1/events?bcrt1qsecret=1", "/treasuries/alpha?at=bcrt1qsec", "/incidents/bcrt1qsecret"),
        ):
            for accept in ("text/html", "application/json"):
                async with http.get(f"{bound.url}{path}", headers={"Accept": accept}) as response:
                    assert response.status in {400, 404}, path
                    assert "bcrt1q" not in await response.text(), path


async def test_hostile_labels_stay_text_in_every_format(
    serve: Open, http: aiohttp.ClientSession, hostile: str
) -> None:
    """On the page and in the feed they are in `test_page.py`, in CSV in `test_ledger_api.py`."""
    async with serve() as bound:
        async with http.get(f"{bound.url}/metrics") as response:
            metrics = await response.text()
        async with http.get(f"{bound.url}/api/v1/treasuries") as response:
            assert response.content_type == "application/json"
            titles = [each["title"] for each in (await response.json())["treasuries"]]
    (line,) = [
        each for each in metrics.splitlines() if each.startswith("watcher_treasury_info{") and "alpha" in each
    ]
    # the newline and the quotes are escaped as the format says, so that it is one series
    assert line.endswith(" 1.0")
    assert '\\n=HYPERLINK(\\"http://evil\\")' in line
    assert titles == [hostile, hostile]
