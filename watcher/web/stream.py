"""The log as it grows: server-sent events that lose nothing over a reconnect.

A stream reads the ledger, never a queue of its own: a slow client costs no memory, and one that comes back
with `Last-Event-ID` goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from watcher.ledger import queries
from watcher.web import hiding, leisure, requests
from watcher.web.backend import BACKEND
from watcher.web.problem import ApiError, bad_request

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from watcher.ledger.queries import EventRow

_PAGE: Final = 100  # events per read: a stream far behind does not keep the reader from others
_SEND_BUFFER: Final = 65_536  # so that a client that never reads is noticed while little is under way
_RETRY_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """`streams` at once; a comment after `heartbeat` silent seconds; `patience` seconds for each write."""

    streams: int = 64
    heartbeat: float = 15.0
    patience: float = 30.0


DEFAULT_LIMITS: Final = StreamLimits()


@dataclass
class Streams:
    """The streams that are open on one door; `closing` ends them."""

    limits: StreamLimits
    open: int = 0
    closing: asyncio.Event = field(default_factory=asyncio.Event)


STREAMS: Final[web.AppKey[Streams]] = web.AppKey("streams")


async def close_streams(app: web.Application) -> None:
    """End all of them: the daemon goes down."""
    app[STREAMS].closing.set()


async def stream(request: web.Request) -> web.StreamResponse:
    """Every event after `Last-Event-ID`, else after `after`, else from now on; until the client leaves."""
    streams = request.app[STREAMS]
    if streams.open >= streams.limits.streams:
        again = {"Retry-After": "30"}
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "too many streams are open", headers=again)
    streams.open += 1
    try:
        return await _stream(request, streams)
    finally:
        streams.open -= 1


async def _stream(request: web.Request, streams: Streams) -> web.StreamResponse:
    backend = request.app[BACKEND]
    log, sequence = await backend.read(_beginning(_cursor(request)))
    hide = hiding.hides(request, backend.page)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=_SEND_BUFFER)
    behind = False
    text = f"retry: {_RETRY_MS}\nid: {log}:{sequence}\n\n"  # an id without data: where to go on from
    while await _sent(request, response, text, streams.limits.patience):
        bell = backend.bell.next  # taken before looking, so that nothing falls between
        following = _following(sequence)
        rows = await (leisure.read(backend, following) if behind else backend.read(following))
        behind = len(rows) == _PAGE  # it reads an old log, and news of others come first
        if rows:
            sequence = rows[-1].sequence
            text = "".join(_told(log, row, hide=hide) for row in rows)
        elif await _rung(bell, streams):
            break
        else:
            text = "" if bell.is_set() else ":\n\n"
    return response


def _cursor(request: web.Request) -> requests.EventCursor | None:
    last = request.headers.get("Last-Event-ID")
    return requests.event_cursor(request) if not last else requests.cursor_of(last)


def _beginning(
    cursor: requests.EventCursor | None,
) -> Callable[[sqlite3.Connection], tuple[str, int]]:
    def work(connection: sqlite3.Connection) -> tuple[str, int]:
        log, end = queries.log_id(connection), queries.last_sequence(connection)
        if cursor is None:
            return log, end
        if cursor.log != log:
            raise ApiError(
                HTTPStatus.GONE, "the cursor belongs to another log; begin again", kind="log-changed"
            )
        if cursor.sequence > end:
            raise bad_request("the cursor is beyond the end of the log", "bad-cursor")
        return log, cursor.sequence

    return work


def _following(sequence: int) -> Callable[[sqlite3.Connection], list[EventRow]]:
    return lambda connection: queries.events_after(connection, sequence, _PAGE)


def _told(log: str, row: EventRow, *, hide: bool) -> str:
    # JSON has no line ends of its own: one data line holds it
    data = json.dumps(hiding.payload(row, hide=hide), ensure_ascii=False, separators=(",", ":"))
    return f"id: {log}:{row.sequence}\nevent: {row.type}\ndata: {data}\n\n"


async def _sent(request: web.Request, response: web.StreamResponse, text: str, patience: float) -> bool:
    """Whether the client took it; one that has not for so long is dropped."""
    if not text:
        return True
    try:
        async with asyncio.timeout(patience):
            await response.write(text.encode())
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        return False
    except ConnectionResetError:
        return False
    return True


async def _rung(bell: asyncio.Event, streams: Streams) -> bool:
    """Wait for the bell, at most until the next heartbeat is due; whether the daemon goes down."""
    waiting = [asyncio.create_task(event.wait()) for event in (bell, streams.closing)]
    try:
        await asyncio.wait(waiting, timeout=streams.limits.heartbeat, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return streams.closing.is_set()
