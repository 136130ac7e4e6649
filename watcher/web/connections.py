"""How many connections there may be at once, and for how long a client may keep one from getting on.

Without it whoever reaches the address could use up the descriptors that sources and endpoints need.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BACKLOG: Final = 128
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`most` at once; `patience` seconds for an answer to be taken."""

    most: int = 256
    patience: float = 60.0


class Connections:
    """Those of one door. Where there are too many, one that never asked anything makes room for the next."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._asked: set[web.RequestHandler] = set()
        self._stuck: dict[web.RequestHandler, int] = {}

    def asks(self, request: web.Request) -> None:
        """A whole request has come on this connection."""
        if isinstance(request.protocol, web.RequestHandler):
            self._asked.add(request.protocol)

    @asynccontextmanager
    async def accepting(self, server: web.Server, listener: socket.socket) -> AsyncIterator[None]:
        """Serve at the socket until left; connections that are open then are the server's to end."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
        # asyncio accepts as many at once as its backlog says. Where descriptors are lacking it fails as
        # often and plans as many tries a second later, each of which does the same: so it is told one.
        accepting = await create(lambda: self._next(server), sock=listener, backlog=1)
        listener.listen(_BACKLOG)
        sweep = asyncio.create_task(self._sweep(server), name="connections")
        try:
            yield
        finally:
            sweep.cancel()
            accepting.close()

    def _next(self, server: web.Server) -> asyncio.Protocol:
        held = server.connections
        if len(held) < self._limits.most:
            return server()
        idle = next((handler for handler in held if handler not in self._asked), None)
        if idle is None:
            return _Full()
        self._asked.add(idle)  # so that the next of a burst takes the place of another
        idle.force_close()
        return server()

    async def _sweep(self, server: web.Server) -> None:
        """End connections whose client takes nothing of what waits for it."""
        while True:
            await asyncio.sleep(self._limits.patience)
            held = server.connections
            self._asked.intersection_update(held)
            waiting = {
                handler: handler.transport.get_write_buffer_size()
                for handler in held
                if handler.transport is not None
            }
            for handler, size in waiting.items():
                if size and self._stuck.get(handler) == size and handler.transport is not None:
                    handler.transport.abort()
            self._stuck = waiting


class _Full(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(_FULL)
        transport.close()


CONNECTIONS: Final[web.AppKey[Connections]] = web.AppKey("connections")
