"""Apprise, with its own JSON service as the receiver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING

import pytest

from tests.delivery.rig import Receiver, hang, status, until
from tests.delivery.samples import DUST, TXID, texts, transaction
from tests.delivery.test_conformance import group
from watcher.delivery.apprise import AppriseSender
from watcher.delivery.verdict import Delivered, Reason, Retry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Apprise imports what later Pythons will not have
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OUTFLOW = transaction("tx.seen", "outflow")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


def sender(receiver: Receiver, *, seconds: float = 60.0) -> AppriseSender:
    url = f"json://user:hush@127.0.0.1:{receiver.port}/path-token"
    return AppriseSender(url, texts("en"), now=time.time, seconds=seconds)


async def test_it_says_what_every_kind_says(receiver: Receiver) -> None:
    assert await sender(receiver).send(group(OUTFLOW)) == Delivered(None)
    content = json.loads(receiver.requests[0].body)
    assert content["title"].startswith("[CRITICAL] Outflow of 0.05000000 BTC")
    assert TXID in content["message"]
    assert content["type"] == "failure"


async def test_a_flood_is_one_message(receiver: Receiver) -> None:
    assert await sender(receiver).send(group(*DUST)) == Delivered(None)
    (request,) = receiver.requests
    assert json.loads(request.body)["title"].startswith("5000 inflows")


@pytest.mark.parametrize("code", [400, 410, 429, 500, 503])
async def test_a_failure_is_tried_again(receiver: Receiver, code: int) -> None:
    receiver.otherwise = status(code)
    assert await sender(receiver).send(group(OUTFLOW)) == Retry(Reason.CONNECTION)


async def test_an_attempt_that_hangs_is_given_up(receiver: Receiver) -> None:
    receiver.otherwise = hang
    assert await sender(receiver, seconds=0.3).send(group(OUTFLOW)) == Retry(Reason.TIMEOUT)


async def test_while_one_attempt_hangs_the_next_is_not_begun(receiver: Receiver) -> None:
    receiver.otherwise = hang
    client = sender(receiver)
    hanging = asyncio.create_task(client.send(group(OUTFLOW)))
    await until(lambda: len(receiver.requests) == 1)
    # nor does it wait: the one that hangs has longer than this
    assert await asyncio.wait_for(client.send(group(OUTFLOW)), 30) == Retry(Reason.TIMEOUT)
    assert len(receiver.requests) == 1
    hanging.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await hanging


@pytest.mark.parametrize("url", ["nonsense://hush", "hush", "json://127.0.0.1/hush json://127.0.0.1/x", ""])
def test_a_url_it_cannot_use_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="one URL") as caught:
        AppriseSender(url, texts("en"), now=time.time)
    assert "hush" not in str(caught.value)


async def test_no_secret_shows_in_texts_or_logs(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = sender(receiver)
    shown = [repr(client)]
    for code in (200, 500):
        receiver.otherwise = status(code)
        shown.append(repr(await client.send(group(OUTFLOW))))
    everything = "\n".join([*shown, caplog.text])
    assert "hush" not in everything
    assert "path-token" not in everything
