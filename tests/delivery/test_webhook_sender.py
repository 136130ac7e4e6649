"""One attempt over a real socket: what is sent, and what each answer or silence is taken for."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from tests.delivery.rig import (
    OLD_SECRET,
    SECRET,
    Answer,
    Names,
    Receiver,
    Request,
    hang,
    raw,
    status,
    target,
    webhook,
)
from watcher import __version__
from watcher.core.outbox import Leased
from watcher.delivery.http import TOTAL_SECONDS
from watcher.delivery.verdict import Delivered, Gone, Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from watcher.delivery.endpoint import HttpTarget

BODY = '{"type": "tx.seen", "data": {"label": "caja ₿"}}'
DELIVERY = Leased(id=1, webhook_id="evt_1", sequence=1, attempts=0, created_ms=0, until_ms=2**53, body=BODY)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
def self_signed(tmp_path: Path) -> Path:
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hooks.example"
    command = ["openssl", "req", *options.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


async def attempt(
    where: HttpTarget,
    *,
    seconds: float = 60.0,
    names: Names | None = None,
    previous_secret: str | None = None,
) -> Verdict:
    async with webhook(where, names=names, seconds=seconds, previous_secret=previous_secret) as sender:
        return await sender.send((DELIVERY,))


async def test_the_stored_bytes_are_posted_with_the_three_headers(receiver: Receiver) -> None:
    assert await attempt(target(receiver.url)) == Delivered(200)
    (request,) = receiver.requests
    assert request.line == "POST /hook/path-token HTTP/1.1"
    assert request.body == BODY.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"treasury-watcher/{__version__}"
    assert request.headers["webhook-id"] == "evt_1"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    Webhook(SECRET).verify(request.body, request.headers)


async def test_while_rotating_receivers_with_the_old_or_the_new_secret_both_verify(
    receiver: Receiver,
) -> None:
    await attempt(target(receiver.url), previous_secret=OLD_SECRET)
    (request,) = receiver.requests
    Webhook(SECRET).verify(request.body, request.headers)
    Webhook(OLD_SECRET).verify(request.body, request.headers)


async def test_the_operators_headers_are_added_and_never_replace_ours(receiver: Receiver) -> None:
    extra = (("X-Tenant", "7"), ("Webhook-Id", "forged"), ("Content-Type", "text/plain"))
    where = target(receiver.url, headers=extra)
    assert await attempt(where) == Delivered(200)
    (request,) = receiver.requests
    assert request.headers["x-tenant"] == "7"
    assert request.headers["webhook-id"] == "evt_1"
    assert request.headers["content-type"] == "application/json"


def test_a_header_that_would_break_the_request_is_refused_without_being_quoted() -> None:
    for name, value in (("x", "hush\r\ny: z"), ("x\n", "hush"), ("x", "hush\0"), ("ü", "hush")):
        with pytest.raises(ValueError, match="endpoint ops") as caught:
            target("http://h.example/", headers=((name, value),))
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), Delivered(204)),
        (status(404), Retry(Reason.STATUS_4XX, None, 404)),
        (status(410), Gone(410)),
        (status(429), Retry(Reason.THROTTLED, None, 429)),
        (status(429, "retry-after: 17"), Retry(Reason.THROTTLED, 17.0, 429)),
        (status(503, "Retry-After: 999999"), Retry(Reason.OVERLOADED, 86_400.0, 503)),
        (status(500), Retry(Reason.STATUS_5XX, None, 500)),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut"), Retry(Reason.CONNECTION)),
        (raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), Retry(Reason.CONNECTION)),
        (raw(b"HTTP/1.1 200 OK\r\n\r\nread until the end"), Delivered(200)),
        (raw(b"HTTP/1.1 20"), Retry(Reason.CONNECTION)),
        (raw(b""), Retry(Reason.CONNECTION)),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Retry(Reason.PROTOCOL)),
        (raw(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"), Retry(Reason.PROTOCOL)),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
async def test_each_answer_has_its_verdict(receiver: Receiver, answer: Answer, verdict: Verdict) -> None:
    receiver.otherwise = answer
    assert await attempt(target(receiver.url)) == verdict
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, code: int) -> None:
    async with Receiver() as elsewhere:
        receiver.otherwise = status(code, f"location: {elsewhere.url}")
        assert await attempt(target(receiver.url)) == Retry(Reason.REDIRECT, None, code)
        assert elsewhere.connections == 0


async def test_a_receiver_that_hangs_is_given_up(receiver: Receiver) -> None:
    receiver.otherwise = hang
    assert await attempt(target(receiver.url), seconds=0.2) == Retry(Reason.TIMEOUT)


async def test_a_slow_answer_is_bounded_as_a_whole(receiver: Receiver) -> None:
    async def drip(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.otherwise = drip
    began = time.monotonic()
    assert await attempt(target(receiver.url), seconds=0.3) == Retry(Reason.TIMEOUT)
    assert time.monotonic() - began < TOTAL_SECONDS  # the whole answer takes 50


async def test_of_a_gigabyte_only_the_beginning_is_read(receiver: Receiver) -> None:
    sent = 0

    async def flood(_request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        for _ in range(16_384):
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    receiver.otherwise = flood
    assert await attempt(target(receiver.url)) == Delivered(200)
    assert sent < 32 * 2**20  # what fits into the sockets' buffers, and no more


async def test_a_compressed_answer_is_not_unpacked(receiver: Receiver) -> None:
    receiver.otherwise = status(200, "content-encoding: gzip")  # its body is no gzip
    assert await attempt(target(receiver.url)) == Delivered(200)
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


async def test_nobody_listening_is_a_connection_failure() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/"
        assert await attempt(target(url)) == Retry(Reason.CONNECTION)


async def test_a_name_that_does_not_resolve_is_a_dns_failure() -> None:
    assert await attempt(target("http://hooks.example/"), names=Names([])) == Retry(Reason.DNS)


@pytest.mark.parametrize("host", ["hooks..example", f"{'a' * 64}.example"])
async def test_a_name_that_no_resolver_takes_is_a_dns_failure(host: str) -> None:
    assert await attempt(target(f"http://{host}/")) == Retry(Reason.DNS)


async def test_a_certificate_nobody_vouches_for_is_a_tls_failure_under_the_right_name(
    self_signed: Path,
) -> None:
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed / "cert.pem", self_signed / "key.pem")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with Receiver(tls=context) as receiver:
        names = Names(["127.0.0.1"])
        where = target(f"https://hooks.example:{receiver.port}/")
        assert await attempt(where, names=names) == Retry(Reason.TLS)
        assert asked == ["hooks.example"]
        assert receiver.requests == []


async def test_a_private_literal_is_refused_unless_allowed(receiver: Receiver) -> None:
    where = target(receiver.url, allow_private=False)
    assert await attempt(where) == Retry(Reason.FORBIDDEN_ADDRESS)
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"],
        ["::ffff:169.254.169.254"],
        ["169.254.169.254", "fd00:ec2::254"],
        ["0.0.0.0"],
    ],
)
async def test_a_name_that_leads_to_a_metadata_service_is_refused_even_where_private_is_allowed(
    addresses: list[str],
) -> None:
    verdict = await attempt(target("http://hooks.example/"), names=Names(addresses))
    assert verdict == Retry(Reason.FORBIDDEN_ADDRESS)


async def test_a_name_that_leads_to_loopback_is_refused(receiver: Receiver) -> None:
    where = target(f"http://hooks.example:{receiver.port}/", allow_private=False)
    for addresses in (["127.0.0.1"], ["::ffff:127.0.0.1"], ["127.0.0.1", "::1"]):
        assert await attempt(where, names=Names(addresses)) == Retry(Reason.FORBIDDEN_ADDRESS)
    assert receiver.connections == 0


async def test_rebinding_finds_no_second_lookup_to_answer(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    where = target(f"http://hooks.example:{receiver.port}/")
    assert await attempt(where, names=names) == Delivered(200)
    assert names.asked == ["hooks.example"]
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_a_name_changed_to_a_forbidden_address_is_refused_on_the_next_connection(
    receiver: Receiver,
) -> None:
    where = target(f"http://hooks.example:{receiver.port}/")
    assert await attempt(where, names=Names(["127.0.0.1"])) == Delivered(200)
    assert await attempt(where, names=Names(["169.254.169.254"])) == Retry(Reason.FORBIDDEN_ADDRESS)


async def test_legacy_spellings_of_loopback_are_refused(receiver: Receiver) -> None:
    for host in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1"):
        where = target(f"http://{host}:{receiver.port}/", allow_private=False)
        verdict = await attempt(where)
        assert isinstance(verdict, Retry)
    assert receiver.connections == 0


async def test_the_environments_proxies_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert await attempt(target(receiver.url)) == Delivered(200)
        assert proxy.connections == 0


async def test_no_secret_shows_in_texts_logs_or_verdicts(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    where = target(receiver.url, headers=(("authorization", "Bearer header-token"),))
    texts = [repr(where), str(where)]
    for answer in (status(500), status(302, f"location: {receiver.url}"), raw(b"nonsense\r\n\r\n"), hang):
        receiver.otherwise = answer
        texts.append(repr(await attempt(where, seconds=0.2, previous_secret=OLD_SECRET)))
    async with webhook(where, previous_secret=OLD_SECRET) as sender:
        texts += [repr(sender), repr(vars(sender))]
    texts.append(repr(await attempt(target(receiver.url, allow_private=False))))
    everything = "\n".join([*texts, caplog.text])
    for hidden in (SECRET, OLD_SECRET, SECRET.removeprefix("whsec_"), "header-token", "path-token"):
        assert hidden not in everything
