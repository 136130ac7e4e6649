"""Who is let in: hosts, tokens, origins, and requests of a size nobody honest sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from watcher.web.access import Guarded

if TYPE_CHECKING:
    from tests.web.conftest import Open

READ, ADMIN = "read-token-" + "r" * 20, "admin-token-" + "a" * 20
TOKENS = Guarded(read_token=READ, admin_token=ADMIN)
REDELIVER = "/api/v1/deliveries/3/redeliver"


async def raw(url: str | None, request: bytes) -> bytes:
    """What a server says to exactly these bytes, until it closes or a second of silence."""
    assert url is not None
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.readline(), 60)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.evil.com",
        "127.evil.com:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:PORT:PORT",
        "127.0.0.1:PORT@evil.com",
        "user@127.0.0.1:PORT",
        "127.0.0.1:PORT.evil.com",
        "localhost.:PORT",
        "[::1]:PORT",
        "0.0.0.0:PORT",
        "127.0.0.2:PORT",
        "",
    ],
)
async def test_a_host_that_is_not_ours_is_refused(
    serve: Open, http: aiohttp.ClientSession, host: str
) -> None:
    async with serve() as bound:
        host = host.replace("PORT", str(urlsplit(bound.url or "").port))
        for path in ("/", "/metrics", "/api/v1/events", "/api/openapi.json"):
            async with http.get(f"{bound.url}{path}", headers={"Host": host}) as response:
                assert response.status == 400, path
                assert "alpha" not in await response.text()
        for path in ("/healthz", "/readyz"):
            async with http.get(f"{bound.url}{path}", headers={"Host": host}) as response:
                assert response.status == 200


async def test_a_missing_or_doubled_host_is_refused(serve: Open) -> None:
    async with serve() as bound:
        port = urlsplit(bound.url or "").port
        assert b" 400 " in await raw(bound.url, b"GET /api/v1/events HTTP/1.1\r\n\r\n")
        assert b" 400 " in await raw(bound.url, b"GET /api/v1/events HTTP/1.0\r\n\r\n")
        good = b"Host: 127.0.0.1:%d\r\n" % port
        doubled = b"GET /api/v1/events HTTP/1.1\r\n" + good + b"Host: evil.com\r\n\r\n"
        assert b" 400 " in await raw(bound.url, doubled)
        assert b" 200 " in await raw(bound.url, b"GET /api/v1/events HTTP/1.1\r\n" + good + b"\r\n")


async def test_localhost_and_the_external_url_are_ours(serve: Open, http: aiohttp.ClientSession) -> None:
    door = Guarded(external_url="https://Watch.Example/treasury")
    async with serve(door) as bound:
        port = urlsplit(bound.url or "").port
        for host in (f"localhost:{port}", f"LOCALHOST:{port}", "watch.example", "watch.example:443"):
            async with http.get(f"{bound.url}/api/v1/events", headers={"Host": host}) as response:
                assert response.status == 200, host
        async with http.get(f"{bound.url}/", headers={"Host": "watch.example:8443"}) as response:
            assert response.status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "file://"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
        {"Origin": "127.0.0.1:PORT"},
        {"Origin": "http://127.0.0.1:PORT@evil.com"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_cannot_write(
    serve: Open, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with serve() as bound:
        port = str(urlsplit(bound.url or "").port)
        headers = {name: value.replace("PORT", port) for name, value in headers.items()}
        headers |= {"Content-Type": "text/plain"}
        async with http.post(f"{bound.url}{REDELIVER}", headers=headers, data="x") as response:
            assert response.status == 403
        async with http.get(f"{bound.url}/api/v1/deliveries?state=dead") as response:
            assert len((await response.json())["deliveries"]) == 1


async def test_our_own_page_can_write_but_only_json(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        own = {"Origin": str(bound.url), "Sec-Fetch-Site": "same-origin"}
        async with http.post(f"{bound.url}{REDELIVER}", headers=own, data="x") as response:
            assert response.status == 415
        async with http.post(f"{bound.url}{REDELIVER}", headers=own, json={}) as response:
            assert response.status == 202


async def test_a_body_that_is_not_packed_as_it_says_is_a_bad_request(
    serve: Open, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as bound:
        packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        async with http.post(f"{bound.url}{REDELIVER}", headers=packed, data=b'{"by": "me"}') as response:
            assert response.status == 400
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("auth", "read", "write"),
    [
        (None, 401, 401),
        ({"Authorization": f"Bearer {READ}"}, 200, 403),
        ({"Authorization": f"Bearer {ADMIN}"}, 200, 202),
        ({"Authorization": aiohttp.encode_basic_auth("anybody", READ)}, 200, 403),
        ({"Authorization": aiohttp.encode_basic_auth("", ADMIN)}, 200, 202),
        ({"Authorization": f"Bearer {READ}x"}, 401, 401),
        ({"Authorization": f"Bearer {READ[:-1]}"}, 401, 401),
        ({"Authorization": "Bearer "}, 401, 401),
        ({"Authorization": "Basic !!!"}, 401, 401),
        ({"Authorization": "Basic é"}, 401, 401),
        ({"Authorization": "Basic /w=="}, 401, 401),
        ({"Authorization": "Bearer é"}, 401, 401),
        ({"Authorization": f"Digest {READ}"}, 401, 401),
        ({"Authorization": aiohttp.encode_basic_auth(READ, "")}, 401, 401),
    ],
)
async def test_a_token_opens_what_it_is_for(
    serve: Open,
    http: aiohttp.ClientSession,
    auth: dict[str, str] | None,
    read: int,
    write: int,
) -> None:
    async with serve(TOKENS) as bound:
        for path in ("/metrics", "/api/v1/treasuries", "/api/v1/status", "/"):
            async with http.get(f"{bound.url}{path}", headers=auth) as response:
                assert response.status == read, path
                assert ("WWW-Authenticate" in response.headers) == (read == 401)
        async with http.post(f"{bound.url}{REDELIVER}", headers=auth) as response:
            assert response.status == write
        async with http.get(f"{bound.url}/healthz") as response:
            assert response.status == 200


async def test_public_shows_what_a_treasury_publishes_and_nothing_else(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve(Guarded(public=True)) as bound:
        for path, status in (
            ("/api/v1/treasuries", 200),
            ("/api/v1/treasuries/alpha/history", 200),
            ("/api/v1/events", 200),
            ("/api/v1/deliveries", 403),
            ("/api/v1/status", 403),
            ("/metrics", 403),
        ):
            async with http.get(f"{bound.url}{path}") as response:
                assert response.status == status, path
        async with http.post(f"{bound.url}{REDELIVER}") as response:
            assert response.status == 403


async def test_an_admin_token_alone_leaves_reading_open(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve(Guarded(admin_token=ADMIN)) as bound:
        async with http.get(f"{bound.url}/metrics") as response:
            assert response.status == 200
        async with http.post(f"{bound.url}{REDELIVER}") as response:
            assert response.status == 401


def test_no_token_stands_in_a_doors_text() -> None:
    assert READ not in repr(TOKENS)
    assert ADMIN not in repr(TOKENS)


async def test_a_header_of_a_megabyte_is_refused_and_the_next_request_served(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        huge = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"
        assert b" 400 " in await raw(bound.url, huge)
        many = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n"
        assert b" 400 " in await raw(bound.url, many)
        async with http.get(f"{bound.url}/healthz") as response:
            assert response.status == 200


async def test_every_answer_forbids_what_a_browser_could_do_with_it(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        for path in ("/", "/metrics", "/api/v1/treasuries/alpha/history?format=csv", "/nothing"):
            async with http.get(f"{bound.url}{path}") as response:
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]
                assert response.headers["Server"] == "treasury-watcher"
