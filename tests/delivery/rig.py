"""What the delivery tests stand on: a scriptable receiver, a ledger on a file, a clock to turn by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp.abc import AbstractResolver, ResolveResult

from watcher.delivery.endpoint import HttpTarget
from watcher.delivery.http import Poster
from watcher.delivery.signing import Signer
from watcher.delivery.webhook import WebhookSender
from watcher.ledger.schema import migrate
from watcher.ledger.sqlite import open_writer

if TYPE_CHECKING:
    import sqlite3
    import ssl
    from pathlib import Path

    from watcher.core.outbox import Attempt

T = TypeVar("T")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's own example
OLD_SECRET = "whsec_dGhlIHNlY3JldCBvZiBsYXN0IG1vbnRo"


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return once it holds; fail when it does not within that time: less than an attempt of `webhook` has."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.002)


@dataclass(frozen=True)
class Request:
    """What arrived; header names in lower case."""

    headers: dict[str, str]
    body: bytes
    line: str

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def status(code: int, *headers: str) -> Answer:
    """Answer with this status, these header lines and a short body."""
    head = "\r\n".join([f"HTTP/1.1 {code} Whatever", "content-length: 2", *headers])

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{head}\r\n\r\nok".encode())

    return answer


def raw(data: bytes) -> Answer:
    """Answer with these bytes and close the connection."""

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


async def hang(_request: Request, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


@dataclass
class Receiver:
    """An HTTP server that answers as told: each request takes the next of `script`, then `otherwise`."""

    script: list[Answer] = field(default_factory=list)
    otherwise: Answer = field(default_factory=lambda: status(200))
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/path-token"

    @property
    def ids(self) -> list[str]:
        return [request.webhook_id for request in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            # cancelled at the end of a test: what serves a connection has nobody to tell
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._exchange(reader, writer)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        request = Request(headers, body, head[0])
        self.requests.append(request)
        answer = self.script.pop(0) if self.script else self.otherwise
        await answer(request, writer)
        await writer.drain()


class Names(AbstractResolver):
    """Answers each lookup with the next list of addresses, and remembers that it was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
            if family in {socket.AF_UNSPEC, socket.AF_INET6 if ":" in address else socket.AF_INET}
        ]

    async def close(self) -> None:
        pass


class Ledger:
    """A real ledger file and its one writer thread."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.commits = 0
        self.connection: sqlite3.Connection = open_writer(path)
        migrate(self.connection)
        self._sequence = self.rows("SELECT coalesce(max(sequence), 0) AS n FROM events")[0]["n"]

    def close(self) -> None:
        self._thread.shutdown()
        self.connection.close()

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self.connection)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        self.commits += 1
        return result

    async def run(self, work: Callable[[sqlite3.Connection], T], /) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.transact, work)

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self._thread.submit(self.connection.execute, sql, values).result()]

    def owe(self, endpoint: str, count: int = 1, at: float | None = None) -> list[str]:
        """Commit events with a delivery each for the endpoint; their webhook ids."""
        return self.owe_bodies(endpoint, ['{"type": "tx.seen", "data": {"label": "caja ₿"}}'] * count, at)

    def owe_bodies(self, endpoint: str, bodies: Sequence[str], at: float | None = None) -> list[str]:
        """The same with these bodies."""
        at_ms = int((time.time() if at is None else at) * 1000)
        return self._thread.submit(
            self.transact, lambda connection: self.put(connection, endpoint, bodies, at_ms)
        ).result()

    def put(
        self, connection: sqlite3.Connection, endpoint: str, bodies: Sequence[str], at_ms: int
    ) -> list[str]:
        """The same within a transaction."""
        ids = []
        for body in bodies:
            self._sequence += 1
            webhook_id = f"evt_{self._sequence:032x}"
            connection.execute(
                "INSERT INTO events (sequence, id, type, at_ms, body) VALUES (?, ?, 'tx.seen', ?, '{}')",
                (self._sequence, webhook_id, at_ms),
            )
            connection.execute(
                "INSERT INTO deliveries (endpoint, webhook_id, sequence, body, created_ms, due_ms)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (endpoint, webhook_id, self._sequence, body, at_ms, at_ms),
            )
            ids.append(webhook_id)
        return ids

    def states(self, endpoint: str) -> list[str]:
        rows = self.rows("SELECT state FROM deliveries WHERE endpoint = ? ORDER BY id", endpoint)
        return [row["state"] for row in rows]


class HandClock:
    """Time that moves only when a test moves it."""

    def __init__(self, time: float) -> None:
        self.time = time
        self._timers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self.time

    @property
    def parked(self) -> bool:
        """Whether somebody waits for this clock."""
        return bool(self._timers)

    @property
    def waiting(self) -> int:
        """How many wait for this clock."""
        return len(self._timers)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        over = asyncio.Event()
        timer = (self.time + seconds, over)
        self._timers.append(timer)
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(over.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            with contextlib.suppress(ValueError):
                self._timers.remove(timer)

    def turn_to(self, time: float) -> None:
        """Let the time pass at once; whoever waited for less wakes at its end."""
        self.time = time
        for timer in [timer for timer in self._timers if timer[0] <= time]:
            self._timers.remove(timer)
            timer[1].set()


@dataclass
class Log:
    """An observer that remembers."""

    seen: list[tuple[str, Attempt, float]] = field(default_factory=list)

    def __call__(self, endpoint: str, attempt: Attempt, seconds: float) -> None:
        self.seen.append((endpoint, attempt, seconds))

    @property
    def outcomes(self) -> list[str]:
        return [attempt.outcome for _, attempt, _ in self.seen]


def target(
    url: str, name: str = "ops", *, allow_private: bool = True, headers: tuple[tuple[str, str], ...] = ()
) -> HttpTarget:
    return HttpTarget(name, url, allow_private=allow_private, headers=headers)


def webhook(
    where: HttpTarget,
    *,
    now: Callable[[], float] = time.time,
    previous_secret: str | None = None,
    names: AbstractResolver | None = None,
    seconds: float = 60.0,
) -> WebhookSender:
    http = Poster(where, now=now, resolver=names, seconds=seconds)
    return WebhookSender(http, Signer(SECRET, previous_secret), now=now)
