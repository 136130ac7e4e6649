"""The receiver believes what is signed and answers as told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook

from tests.stack import loopback
from tests.stack import receiver as receivers

if TYPE_CHECKING:
    from tests.stack.receiver import Receiver

BODY = b'{"type": "tx.seen", "timestamp": "2026-11-24T10:00:00Z", "data": {"flow": "inflow"}}'


def signed(secret: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("evt_1", now, BODY.decode()),
    }


async def post(receiver: Receiver, headers: dict[str, str]) -> int:
    reply = await loopback.request(receiver.url, method="POST", body=BODY, headers=headers, within=60)
    return reply.status


async def is_left_hanging(receiver: Receiver, headers: dict[str, str]) -> None:
    """A post that the receiver has taken and does not answer."""
    before = len(receiver.verified)
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    try:
        head = {"host": "localhost", "content-length": str(len(BODY)), **headers}
        lines = ["POST /hook HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + BODY)
        await receiver.wait_for(lambda _: len(receiver.verified) > before)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_only_what_is_signed_is_believed(receiver: Receiver) -> None:
    good = await post(receiver, signed(receiver.secret))
    bad = await post(receiver, signed("whsec_" + "QUJD" * 10))
    none = await post(receiver, {})
    assert (good, bad, none) == (204, 401, 401)
    assert [one.refusal for one in receiver.received] == [
        None,
        "No matching signature found",
        "Missing required headers",
    ]
    only = receiver.verified[0]
    assert (only.id, only.type, only.data, only.body) == ("evt_1", "tx.seen", {"flow": "inflow"}, BODY)


async def test_one_can_wait_for_what_comes_and_find_what_came(receiver: Receiver) -> None:
    waiting = asyncio.create_task(receiver.wait_for(lambda one: one.type == "tx.seen"))
    await post(receiver, signed(receiver.secret))
    assert (await waiting).id == "evt_1"
    assert (await receiver.wait_for(lambda one: one.id == "evt_1")) is receiver.verified[0]
    with pytest.raises(TimeoutError, match=r"\['tx.seen inflow'\]"):
        await receiver.wait_for(lambda one: one.id == "evt_2", within=0.1)


async def test_it_answers_as_told(receiver: Receiver) -> None:
    receiver.answer_next(receivers.status(500), receivers.close, receivers.hang)
    headers = signed(receiver.secret)
    assert await post(receiver, headers) == 500
    with pytest.raises(ConnectionError):
        await post(receiver, headers)
    await is_left_hanging(receiver, headers)
    receiver.answer = receivers.status(410)
    assert await post(receiver, headers) == 410
    assert len(receiver.verified) == 4


async def test_stopped_it_refuses_and_started_it_listens_on_the_same_port(receiver: Receiver) -> None:
    await receiver.stop()
    with pytest.raises(ConnectionRefusedError):
        await post(receiver, {})
    await receiver.start()
    assert await post(receiver, signed(receiver.secret)) == 204
