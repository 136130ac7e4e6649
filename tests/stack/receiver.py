"""A receiver of webhooks that believes nothing but `standardwebhooks`, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.stack.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "whsec_" + base64.b64encode(b"the receiver and the watcher share it").decode()

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came; `payload` is None when it does not verify, and `refusal` says why."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: float  # seconds since the epoch
    payload: dict[str, Any] | None
    refusal: str | None

    @property
    def id(self) -> str:
        """The `webhook-id`."""
        return self.headers.get("webhook-id", "")

    @property
    def type(self) -> str:
        """The event's type, empty for what does not verify."""
        return "" if self.payload is None else self.payload["type"]

    @property
    def data(self) -> dict[str, Any]:
        """The event's `data`; empty for what does not verify."""
        return {} if self.payload is None else self.payload["data"]


def status(code: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with this status and an empty body."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return answer


async def hang(_: web.Request) -> web.StreamResponse:
    """Read the request and never answer, until the sender gives up or the receiver ends."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable: nobody sets that event")


async def close(request: web.Request) -> web.StreamResponse:
    """Read the request and reset the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


class Receiver:
    """`async with Receiver() as receiver`: listening on a loopback port, every path a webhook's.

    Each request is recorded with the verdict on its signature. What verifies is answered by the next of
    `answer_next`, else by `answer`; what does not verify by 401.
    """

    def __init__(self, *, secret: str = SECRET, port: int | None = None) -> None:
        self.secret = secret
        self.port = port or free_port()
        self.answer: Answer = status(204)
        self.received: list[Received] = []
        self._next: deque[Answer] = deque()
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def verified(self) -> list[Received]:
        """What verified, in the order of arrival, retries included."""
        return [one for one in self.received if one.payload is not None]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, again after `stop`."""
        app = web.Application(client_max_size=1_000_000)
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Refuse connections until `start`; what was received stays."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def answer_next(self, *answers: Answer) -> None:
        """Answer the coming requests with these, one each, before `answer` holds again."""
        self._next.extend(answers)

    async def wait_for(self, predicate: Callable[[Received], bool], *, within: float = 120) -> Received:
        """The first verified request, past or coming, that the predicate accepts; raises `TimeoutError`."""

        def found() -> Received | None:
            return next((one for one in self.verified if predicate(one)), None)

        async with self._arrived:
            try:
                async with asyncio.timeout(within):
                    await self._arrived.wait_for(lambda: found() is not None)
            except TimeoutError:
                had = [f"{one.type} {one.data.get('flow')}" for one in self.verified]
                raise TimeoutError(f"no such webhook within {within:g} s among {had}") from None
        first = found()
        assert first is not None
        return first

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        payload, refusal = self._verify(body, headers)
        async with self._arrived:
            self.received.append(Received(request.path, headers, body, time.time(), payload, refusal))
            self._arrived.notify_all()
        if payload is None:
            return web.Response(status=401)
        return await (self._next.popleft() if self._next else self.answer)(request)

    def _verify(self, body: bytes, headers: dict[str, str]) -> tuple[dict[str, Any] | None, str | None]:
        try:
            return Webhook(self.secret).verify(body, headers), None
        except (WebhookVerificationError, ValueError) as refusal:
            return None, str(refusal)
