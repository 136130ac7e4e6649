"""Bad networks: a proxy between a client and a server, on real sockets."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_SO_LINGER_NOW = struct.pack("ii", 1, 0)  # close with a reset


class Toxic:
    """Hands on what comes from the server later, in slices, slowly, or only in part; each None is off.

    `latency` is in seconds, `slices` in bytes, `rate` in bytes a second; after `limit` bytes the connection
    is reset. `stalled` hands on nothing at all.
    """

    def __init__(self, port: int) -> None:
        self.latency: float | None = None
        self.slices: int | None = None
        self.rate: float | None = None
        self.limit: int | None = None
        self.stalled = False
        self.connections = 0
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"tcp://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def reset(self) -> None:
        """Reset every connection now."""
        for writer in [one for one in self._open if not one.transport.is_closing()]:
            writer.get_extra_info("socket").setsockopt(1, 13, _SO_LINGER_NOW)  # SOL_SOCKET, SO_LINGER
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except ConnectionError:  # the server is away: so are we
            writer.close()
            self._tasks.discard(task)
            return
        self._open |= {writer, back}
        try:
            with suppress(ConnectionError):
                await asyncio.gather(self._pump(reader, back, poisoned=False), self._pump(there, writer))
        finally:
            self._open -= {writer, back}
            writer.close()
            back.close()
            self._tasks.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, poisoned: bool = True
    ) -> None:
        left = self.limit
        while content := await source.read(1 << 16):
            if not poisoned:
                to.write(content)
                continue
            if self.stalled:
                continue
            if self.latency is not None:
                await asyncio.sleep(self.latency)
            size = self.slices or len(content)
            for at in range(0, len(content), size):
                piece = content[at : at + size]
                if left is not None and (left := left - len(piece)) < 0:
                    self.reset()
                    return
                to.write(piece)
                await to.drain()
                if self.rate is not None:
                    await asyncio.sleep(len(piece) / self.rate)
        to.close()
