"""Takes any POST, fast: `python -m tests.bench.sink` prints its port and ends with its input."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROOT: Final = Path(__file__).parents[2]
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH: Final = b"content-length:"


class _Taking(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._held += data
        while True:
            head, end, body = self._held.partition(b"\r\n\r\n")
            length = int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0] or 0)
            if not end or len(body) < length:
                return
            self._held = body[length:]
            self._transport.write(_ANSWER)


@asynccontextmanager
async def sink() -> AsyncIterator[str]:
    """One in a process of its own; where to post."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.sink"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/hook"
    finally:
        process.stdin.close()
        await process.wait()


async def main() -> None:
    """What the module says."""
    server = await asyncio.get_running_loop().create_server(_Taking, "127.0.0.1", 0)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
