"""A price service on loopback that answers as mempool's does, or as a test tells it to."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.stack.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Prices:
    """`async with Prices() as prices`: `GET /api/v1/prices` gives `answer`, with this `status`.

    `/api/v1/historical-price` gives what `past` makes of the second asked for.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.status = 200
        self.answer: bytes = priced({"USD": 43_753, "EUR": 40_000})
        self.past: Callable[[int], object] = lambda noon: [{"time": noon - 3600, "USD": 2254.9}]
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """What the config has."""
        return f"http://127.0.0.1:{self.port}/api"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        headers = {"Location": f"{self.url}/v1/elsewhere"} if self.status == 302 else {}
        body = self.answer
        if request.path.endswith("/v1/historical-price"):
            assert request.query["currency"]
            body = json.dumps({"prices": self.past(int(request.query["timestamp"]))}).encode()
        return web.Response(status=self.status, body=body, headers=headers)


def priced(prices: Mapping[str, Any], *, at: int | None = None) -> bytes:
    """The body that tells these prices, of now or of that second."""
    return json.dumps({"time": int(time.time()) if at is None else at, **prices}).encode()
