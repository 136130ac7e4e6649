"""The HTTP surface: one set of routes on two doors, the guarded address and the control socket."""

from __future__ import annotations

import logging
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import ClientConnectionResetError, web
from aiohttp.http import HttpProcessingError

from watcher.ledger.sqlite import driver
from watcher.web import access, requests
from watcher.web.access import DOOR, LEVEL, Guarded, Level, Owner
from watcher.web.backend import BACKEND
from watcher.web.connections import CONNECTIONS, ConnectionLimits, Connections
from watcher.web.document import openapi
from watcher.web.guesses import GUESSES, Guesses
from watcher.web.metrics import MetricsPage
from watcher.web.page import render
from watcher.web.problem import ApiError, response
from watcher.web.routes import ROUTES, Route
from watcher.web.sockets import forget, listen_unix
from watcher.web.stream import DEFAULT_LIMITS, STREAMS, StreamLimits, Streams, close_streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from watcher.web.access import Access
    from watcher.web.backend import Backend

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

METRICS: Final[web.AppKey[MetricsPage]] = web.AppKey("metrics")
# the answer whose head is on its way
_BEGUN: Final[web.RequestKey[web.StreamResponse]] = web.RequestKey("begun", web.StreamResponse)

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "treasury-watcher",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# what a page says for itself: its policies, and how long it may be kept
_OWN: Final = frozenset({"Cache-Control", "Content-Security-Policy", "Referrer-Policy"})
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEEPALIVE_SECONDS: Final = 75.0
_SHUTDOWN_SECONDS: Final = 3.0  # of the ten that the whole daemon has
DEFAULT_CONNECTIONS: Final = ConnectionLimits()


@dataclass(frozen=True, slots=True)
class Bound:
    """Where the server listens; `url` is the guarded door's, None for a Unix socket."""

    url: str | None
    control: Path


async def metrics(request: web.Request) -> web.Response:
    """The scrape."""
    snapshot = request.app[BACKEND].snapshot
    exposition = await request.app[METRICS].render(request.headers.get("Accept", ""), snapshot)
    return web.Response(body=exposition.body, headers={"Content-Type": exposition.content_type})


_EXTRA: Final = (
    Route("GET", "/static/{file}", render.static, None, "Style and script of the page", (200, 404)),
    Route("GET", "/metrics", metrics, Level.READ, "The scrape", (200,)),
    Route("GET", "/api/openapi.json", openapi, Level.PUBLIC, "This API", (200,)),
)


def application(
    backend: Backend,
    page: MetricsPage,
    door: Access,
    limits: StreamLimits,
    monotonic: Callable[[], float],
    connections: Connections,
) -> web.Application:
    """The routes behind one door."""
    app = web.Application(middlewares=[_problems], client_max_size=requests.MAX_BODY)
    app[BACKEND] = backend
    app[METRICS] = page
    app[DOOR] = door
    app[STREAMS] = Streams(limits)
    app[GUESSES] = Guesses(monotonic)
    app[CONNECTIONS] = connections
    app.on_shutdown.append(close_streams)
    app.on_response_prepare.append(_secure)
    for route in (*ROUTES, *_EXTRA):
        add = app.router.add_get if route.method == "GET" else app.router.add_post
        for prefix in sorted({"", access.prefix_of(door)}):
            add(prefix + route.path, _guard(route, door))
            if prefix and route.path == "/":  # the external URL as it is written
                add(prefix, _guard(route, door))
    return app


@asynccontextmanager
async def serving(
    backend: Backend,
    *,
    listen: str,
    door: Guarded,
    control: Path,
    monotonic: Callable[[], float],
    limits: StreamLimits = DEFAULT_LIMITS,
    connection_limits: ConnectionLimits = DEFAULT_CONNECTIONS,
) -> AsyncIterator[Bound]:
    """Serve at `listen` (`host:port`, `[v6]:port` or `unix:PATH`) and on the control socket until left.

    OSError where an address cannot be had; nothing is left behind then.
    """
    page = MetricsPage(monotonic)
    async with AsyncExitStack() as stack:

        async def serve(access: Access, listener: socket.socket) -> None:
            stack.callback(listener.close)
            connections = Connections(connection_limits)
            runner = _runner(application(backend, page, access, limits, monotonic, connections))
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            assert runner.server is not None
            await stack.enter_async_context(connections.accepting(runner.server, listener))

        listener, url = _listen(listen)
        await serve(door, listener)
        stack.callback(forget, control)
        await serve(Owner(), listen_unix(control))
        yield Bound(url, control)


# the second is what a body's decompressor makes of the first; it is raised again when the rest is drained
_MALFORMED: Final = (HttpProcessingError, web.RequestPayloadError)


class _NotMalformed(logging.Filter):
    """What is no HTTP gets a 400 and no line in the log: else strangers could fill it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], _MALFORMED))


_LOG: Final = logging.getLogger(__name__)
_LOG.addFilter(_NotMalformed())


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        logger=_LOG,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        lingering_time=_SHUTDOWN_SECONDS,
    )


def _listen(listen: str) -> tuple[socket.socket, str | None]:
    if listen.startswith("unix:"):
        return listen_unix(Path(listen.removeprefix("unix:"))), None
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    listener = socket.create_server(
        (host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
    )
    address, bound = listener.getsockname()[:2]
    return listener, f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"


def _guard(route: Route, door: Access) -> Handler:
    """The handler behind the checks that its door and its level ask for, the cheapest first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if isinstance(door, Guarded) and route.level is not None:
            access.check_host(request, door)
            if request.method in _WRITES:
                access.check_origin(request, door)
            request[LEVEL] = access.authorize(request, door, route.level)
        if route.query is not None:
            requests.check_names(request, frozenset(route.query))
        return await route.handler(request)

    return guarded


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as problem details; what the ledger cannot say now may be asked again."""
    request.app[CONNECTIONS].asks(request)
    try:
        return await handler(request)
    except ApiError as error:
        problem = error
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        status = HTTPStatus(error.status)
        problem = ApiError(status, status.description or status.phrase, headers=allowed)
    except (driver.Error, TimeoutError):
        again = {"Retry-After": "1"}
        problem = ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "the ledger cannot be read now", headers=again)
    except ClientConnectionResetError:
        # whoever asked has left while it was written: nobody's fault, and no line in the log
        problem = ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "nobody is there any more")
    begun: web.StreamResponse | None = request.get(_BEGUN)
    if begun is not None:
        # another answer would be written into this one, which must not look whole either
        if request.transport is not None:
            request.transport.abort()
        return begun
    return await render.problem_page(request, problem) if render.wants_page(request) else response(problem)


async def _secure(request: web.Request, prepared: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        if name not in _OWN or name not in prepared.headers:
            prepared.headers[name] = value
    request[_BEGUN] = prepared
