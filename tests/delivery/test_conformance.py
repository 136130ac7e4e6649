"""What every kind of endpoint by HTTP must do, whatever it sends: one suite over all of them."""

from __future__ import annotations

import json
import logging
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.delivery.rig import Answer, Names, Receiver, Request, hang, raw, status
from tests.delivery.samples import DUST, SAMPLES, body, transaction
from tests.delivery.services import KINDS, Kind
from watcher.core.outbox import Leased
from watcher.delivery.alertmanager import BEGINS
from watcher.delivery.http import TOTAL_SECONDS
from watcher.delivery.texts.facts import told_of
from watcher.delivery.verdict import Delivered, Gone, Reason, Retry, Verdict

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from watcher.delivery.endpoint import Group

CHATS = [kind for kind in KINDS if kind.name in {"ntfy", "telegram", "slack"}]
OUTFLOW = transaction("tx.seen", "outflow")


def group(*bodies: str) -> Group:
    """Lent at once: a beginning before its end has come."""
    return tuple(
        Leased(
            id=n,
            webhook_id=f"evt_{n}",
            sequence=n,
            attempts=0,
            created_ms=0,
            until_ms=2**53,
            body=each,
            holds=told_of(each).type in BEGINS,
        )
        for n, each in enumerate(bodies, 1)
    )


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
async def receiver(kind: Kind) -> AsyncIterator[Receiver]:
    async with Receiver(otherwise=kind.service) as running:
        yield running


def base(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}"


async def attempt(
    kind: Kind, where: str, *, bodies: tuple[str, ...] = (OUTFLOW,), seconds: float = 60.0
) -> Verdict:
    async with kind.sender(where, seconds=seconds) as sender:
        return await sender.send(group(*bodies))


async def test_the_service_takes_every_sample(kind: Kind, receiver: Receiver) -> None:
    async with kind.sender(base(receiver)) as sender:
        for name, bodies in SAMPLES.items():
            queue = sender.queue()
            queue.add(group(*bodies[:64]))
            while taken := queue.take():
                assert await sender.send(taken) == Delivered(200), name


@pytest.mark.parametrize("kind", CHATS, ids=lambda kind: kind.name)
async def test_people_get_a_flood_as_one_message(kind: Kind, receiver: Receiver) -> None:
    async with kind.sender(base(receiver)) as sender:
        assert await sender.send(group(*DUST)) == Delivered(200)
    (request,) = receiver.requests
    assert b"5000 " in request.body
    assert b"0.15227500 BTC" in request.body


async def test_hostile_labels_stay_text(kind: Kind, receiver: Receiver) -> None:
    label = "<!channel> *x* <https://evil|pay> &lt; \r\n\u202e@here, 😀"
    hostile = transaction(
        "tx.seen", "inflow", movements=[{"label": label, "address": "1x", "amount_sats": 1}]
    )
    assert await attempt(kind, base(receiver), bodies=(hostile,)) == Delivered(200)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (400, Retry(Reason.STATUS_4XX, None, 400)),
        (401, Retry(Reason.STATUS_4XX, None, 401)),
        (404, Retry(Reason.STATUS_4XX, None, 404)),
        (408, Retry(Reason.STATUS_4XX, None, 408)),
        (410, Gone(410)),
        (413, Retry(Reason.STATUS_4XX, None, 413)),
        (429, Retry(Reason.THROTTLED, None, 429)),
        (500, Retry(Reason.STATUS_5XX, None, 500)),
        (502, Retry(Reason.OVERLOADED, None, 502)),
        (503, Retry(Reason.OVERLOADED, None, 503)),
        (504, Retry(Reason.OVERLOADED, None, 504)),
        (301, Retry(Reason.REDIRECT, None, 301)),
        (304, Retry(Reason.REDIRECT, None, 304)),
    ],
)
async def test_a_status_has_the_same_verdict_for_every_kind(
    kind: Kind, receiver: Receiver, code: int, verdict: Verdict
) -> None:
    receiver.otherwise = status(code) if code != 304 else raw(b"HTTP/1.1 304 x\r\n\r\n")
    assert await attempt(kind, base(receiver)) == verdict
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("code", [429, 503, 500])
async def test_retry_after_is_heard(kind: Kind, receiver: Receiver, code: int) -> None:
    receiver.otherwise = status(code, "retry-after: 17")
    verdict = await attempt(kind, base(receiver))
    assert isinstance(verdict, Retry)
    assert verdict.after == 17.0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raw(b""), Reason.CONNECTION),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut"), Reason.CONNECTION),
        (raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), Reason.CONNECTION),
        (raw(b"220 mail.example ESMTP\r\n"), Reason.PROTOCOL),
    ],
)
async def test_what_is_no_answer_is_a_failure(
    kind: Kind, receiver: Receiver, answer: Answer, reason: Reason
) -> None:
    receiver.otherwise = answer
    assert await attempt(kind, base(receiver)) == Retry(reason)


@pytest.mark.parametrize("kind", CHATS, ids=lambda kind: kind.name)
async def test_a_page_for_people_is_no_acceptance_by_a_chat(kind: Kind, receiver: Receiver) -> None:
    page = b"<!doctype html><title>Log in</title>"
    receiver.otherwise = raw(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(page), page))
    assert await attempt(kind, base(receiver)) == Retry(Reason.PROTOCOL, None, 200)


async def test_a_service_that_hangs_is_given_up_in_time(kind: Kind, receiver: Receiver) -> None:
    receiver.otherwise = hang
    began = time.monotonic()
    assert await attempt(kind, base(receiver), seconds=0.2) == Retry(Reason.TIMEOUT)
    assert time.monotonic() - began < TOTAL_SECONDS  # which an attempt has where nobody says otherwise


async def test_a_redirect_is_not_followed(kind: Kind, receiver: Receiver) -> None:
    async with Receiver() as elsewhere:
        receiver.otherwise = status(307, f"location: {elsewhere.url}")
        assert await attempt(kind, base(receiver)) == Retry(Reason.REDIRECT, None, 307)
        assert elsewhere.connections == 0


async def test_of_a_gigabyte_only_the_beginning_is_read(kind: Kind, receiver: Receiver) -> None:
    sent = 0

    async def flood(_request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        for _ in range(16_384):
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    receiver.otherwise = flood
    await attempt(kind, base(receiver))
    assert sent < 32 * 2**20  # what fits into the sockets' buffers, and no more


async def test_nobody_listening_is_a_connection_failure(kind: Kind) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        assert await attempt(kind, url) == Retry(Reason.CONNECTION)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"])
async def test_a_private_address_is_refused_where_it_is_not_allowed(
    kind: Kind, receiver: Receiver, address: str
) -> None:
    where = f"http://service.example:{receiver.port}"
    async with kind.sender(where, allow_private=False, names=Names([address])) as sender:
        assert await sender.send(group(OUTFLOW)) == Retry(Reason.FORBIDDEN_ADDRESS)
    async with kind.sender(where, names=Names(["169.254.169.254"])) as sender:
        assert await sender.send(group(OUTFLOW)) == Retry(Reason.FORBIDDEN_ADDRESS)
    assert receiver.connections == 0


async def test_no_secret_shows_in_texts_logs_or_verdicts(
    kind: Kind, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    for answer in (kind.service, status(500), status(302, "location: /x"), raw(b"nonsense\r\n\r\n"), hang):
        receiver.otherwise = answer
        shown.append(repr(await attempt(kind, base(receiver), seconds=0.3)))
    async with kind.sender(base(receiver), allow_private=False) as sender:
        shown += [repr(sender), repr(vars(sender)), repr(await sender.send(group(OUTFLOW)))]
    everything = "\n".join([*shown, caplog.text])
    assert not [secret for secret in kind.secrets if secret in everything]


# What one kind alone has to do


def of(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


async def test_telegram_says_in_the_body_how_long_to_wait() -> None:
    reply = json.dumps({"ok": False, "error_code": 429, "parameters": {"retry_after": 33}}).encode()
    head = b"HTTP/1.1 429 x\r\ncontent-length: %d\r\n\r\n" % len(reply)
    async with Receiver(otherwise=raw(head + reply)) as receiver:
        assert await attempt(of("telegram"), base(receiver)) == Retry(Reason.THROTTLED, 33.0, 429)


@pytest.mark.parametrize("after", ["-5", "99999999999999999999999", '"x"', "1e400", "null", "{}"])
async def test_telegrams_wait_is_bounded_whatever_it_says(after: str) -> None:
    reply = f'{{"ok": false, "parameters": {{"retry_after": {after}}}}}'.encode()
    head = b"HTTP/1.1 429 x\r\ncontent-length: %d\r\n\r\n" % len(reply)
    async with Receiver(otherwise=raw(head + reply)) as receiver:
        verdict = await attempt(of("telegram"), base(receiver))
        assert isinstance(verdict, Retry)
        assert verdict.reason is Reason.THROTTLED
        assert 0 <= (verdict.after or 0) <= 86_400


async def test_ntfy_shows_the_severity_as_priority_and_the_incident_as_tag() -> None:
    async with Receiver(otherwise=of("ntfy").service) as receiver:
        for severity, priority in (("info", 3), ("warning", 4), ("critical", 5)):
            told = body("treasury.stale", severity=severity, incident="inc_1")
            await attempt(of("ntfy"), base(receiver), bodies=(told,))
            content = json.loads(receiver.requests[-1].body)
            assert content["priority"] == priority
            assert content["tags"][1:] == ["el-salvador", "inc_1"]
