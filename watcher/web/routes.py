"""Every address of the API: who may ask, with what, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from watcher.web import api, bodies, schemas, stream, writes
from watcher.web.access import Level
from watcher.web.page import feed, login, outbox, pages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

Schema = dict[str, Any]

_CURSOR: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 128}
_LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 1000}
_AT: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 10}  # a block's height or a UTC day
HTML: Final = "text/html"
_ATOM: Final = "application/atom+xml"
_TIME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 32}


@dataclass(frozen=True, slots=True)
class Route:
    """One address. `level` is None for what anybody may ask under any Host, because it holds no data.

    `path` is as aiohttp has it; `query` names the parameters allowed, None where they are ignored.
    """

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    level: Level | None
    summary: str
    answers: tuple[int, ...]
    query: dict[str, Schema] | None = None
    body: Schema | None = None
    content: str = "application/json"
    schema: Schema = field(default_factory=dict)


ROUTES: Final = (
    Route("GET", "/healthz", api.healthz, None, "The process works", (200,)),
    Route("GET", "/readyz", api.readyz, None, "Config, ledger and page are ready", (200, 503)),
    Route("GET", "/freshz", api.freshz, None, "Every treasury is fresh", (200, 503)),
    Route(
        "GET",
        "/api/v1/events",
        api.events,
        Level.PUBLIC,
        "The log, oldest first",
        (200, 400, 410),
        {"after": _CURSOR, "limit": _LIMIT},
        schema=schemas.EVENTS,
    ),
    Route(
        "GET",
        "/api/v1/events/stream",
        stream.stream,
        Level.PUBLIC,
        "The log as it grows, as server-sent events",
        (200, 400, 410, 503),
        {"after": _CURSOR},
        content="text/event-stream",
    ),
    Route(
        "GET",
        "/api/v1/treasuries",
        api.treasuries,
        Level.PUBLIC,
        "Every treasury",
        (200, 400, 404),
        {"at": _AT},
        schema=schemas.TREASURIES,
    ),
    Route(
        "GET",
        "/api/v1/treasuries/{name}",
        api.treasury,
        Level.PUBLIC,
        "One treasury",
        (200, 400, 404),
        {"at": _AT},
        schema=schemas.TREASURY,
    ),
    Route(
        "GET",
        "/api/v1/treasuries/{name}/history",
        api.history,
        Level.PUBLIC,
        "Every change with the running balance",
        (200, 400, 404),
        {
            "format": {"type": "string", "enum": ["json", "csv"]},
            "after": _CURSOR,
            "limit": _LIMIT,
            "since": _TIME,
            "until": _TIME,
            "at": _AT,
        },
        schema=schemas.HISTORY,
    ),
    Route("GET", "/", pages.home, Level.PUBLIC, "Every treasury, for people", (200, 400), {}, content=HTML),
    Route(
        "GET",
        "/treasuries/{name}",
        pages.treasury_page,
        Level.PUBLIC,
        "One treasury, for people",
        (200, 400, 404),
        {"at": _AT, "before": _CURSOR, "after": _CURSOR, "version": _CURSOR},
        content=HTML,
    ),
    Route(
        "GET",
        "/treasuries/{name}/chart.svg",
        pages.chart,
        Level.PUBLIC,
        "The balance of a treasury as a picture",
        (200, 400, 404),
        {"at": _AT, "of": _CURSOR},
        content="image/svg+xml",
    ),
    Route(
        "GET",
        "/incidents/{id}",
        pages.incident,
        Level.PUBLIC,
        "An incident in words",
        (200, 400, 404),
        {},
        content=HTML,
    ),
    Route(
        "GET",
        "/events/{id}",
        pages.event,
        Level.PUBLIC,
        "An event in words",
        (200, 400, 404),
        {},
        content=HTML,
    ),
    Route("GET", "/trust", pages.trust, Level.PUBLIC, "What the words mean", (200, 400), {}, content=HTML),
    Route("GET", "/feed.atom", feed.feed, Level.PUBLIC, "Incidents as a feed", (200, 400), {}, content=_ATOM),
    Route(
        "GET",
        "/treasuries/{name}/feed.atom",
        feed.treasury_feed,
        Level.PUBLIC,
        "Incidents of one treasury as a feed",
        (200, 400, 404),
        {},
        content=_ATOM,
    ),
    Route("GET", "/login", login.form, Level.NOTHING, "Where to log in", (200, 400), {}, content=HTML),
    Route(
        "POST",
        "/login",
        login.login,
        Level.NOTHING,
        "A cookie for a token",
        (303, 400, 403, 415),
        {},
        content=HTML,
    ),
    Route(
        "GET",
        "/outbox",
        outbox.outbox,
        Level.READ,
        "The deliveries, for people",
        (200, 400),
        {"state": {"type": "string", "enum": list(api.STATES)}, "before": {"type": "integer", "minimum": 0}},
        content=HTML,
    ),
    Route(
        "POST",
        "/outbox/{id:[0-9]{1,18}}/redeliver",
        outbox.send_again,
        Level.ADMIN,
        "Make a delivery due now, by the page's button",
        (303, 400, 404, 415),
        {},
        content=HTML,
    ),
    Route("POST", "/logout", login.logout, Level.NOTHING, "Forget the cookie", (303, 400), {}, content=HTML),
    Route(
        "GET",
        "/api/v1/sources",
        api.sources,
        Level.READ,
        "Sources and quorum",
        (200, 400),
        {},
        schema=schemas.SOURCES,
    ),
    Route(
        "GET",
        "/api/v1/status",
        api.status,
        Level.READ,
        "The daemon at one glance",
        (200, 400),
        {},
        schema=schemas.STATUS,
    ),
    Route(
        "GET",
        "/api/v1/deliveries",
        api.deliveries,
        Level.READ,
        "The outbox, newest first",
        (200, 400),
        {
            "state": {"type": "string", "enum": list(api.STATES)},
            "endpoint": {"type": "string", "minLength": 1},
            "before": {"type": "integer", "minimum": 0},
            "limit": _LIMIT,
        },
        schema=schemas.DELIVERIES,
    ),
    Route(
        "POST",
        "/api/v1/reload",
        writes.reload,
        Level.ADMIN,
        "Read the config again, all or nothing",
        (200, 400, 403, 415, 422),
        {},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "reason": {"type": ["string", "null"], "maxLength": 500},
                "by": {"type": ["string", "null"], "maxLength": 100},
            },
        },
    ),
    Route(
        "POST",
        "/api/v1/deliveries/{id:[0-9]{1,18}}/redeliver",
        writes.redeliver,
        Level.ADMIN,
        "Make a delivery due now",
        (202, 400, 403, 404, 415),
        {},
    ),
    Route(
        "POST",
        "/api/v1/deliveries/redeliver",
        writes.redeliver_since,
        Level.ADMIN,
        "Make due now all that went to an endpoint from an event on",
        (202, 400, 403, 404, 415),
        {},
        {
            "type": "object",
            "required": ["endpoint", "since"],
            "additionalProperties": False,
            "properties": {"endpoint": {"type": "string"}, "since": {"type": "integer", "minimum": 0}},
        },
    ),
    Route(
        "POST",
        "/api/v1/endpoints/{name}/test",
        writes.test_endpoint,
        Level.ADMIN,
        "Send a test message and wait for its verdict",
        (200, 400, 403, 404, 415),
        {},
    ),
    Route(
        "POST",
        "/api/v1/endpoints/{name}/pause",
        writes.pause_endpoint,
        Level.ADMIN,
        "Let what is for an endpoint wait; 0 seconds end it",
        (200, 400, 403, 404, 415),
        {},
        bodies.PAUSE,
    ),
    Route(
        "POST",
        "/api/v1/sources/{name}/trust",
        writes.trust_source,
        Level.ADMIN,
        "Know a source by another key",
        (200, 400, 403, 404, 415),
        {},
        bodies.TRUST,
    ),
    Route(
        "POST",
        "/api/v1/sources/{name}/release",
        writes.release_source,
        Level.ADMIN,
        "Ask a quarantined source again",
        (200, 400, 403, 404, 415),
        {},
        bodies.RELEASE,
    ),
    Route(
        "POST",
        "/api/v1/incidents/{id}/notes",
        writes.note_incident,
        Level.ADMIN,
        "Append a remark to an incident",
        (200, 400, 403, 404, 415),
        {},
        bodies.NOTE,
    ),
    Route(
        "POST",
        "/api/v1/treasuries/{name}/expectations",
        writes.expect_movement,
        Level.ADMIN,
        "Announce a movement, so that it is told as expected",
        (200, 400, 403, 404, 415),
        {},
        bodies.EXPECTATION,
    ),
    Route(
        "POST",
        "/api/v1/rules/test",
        writes.rehearse_rules,
        Level.ADMIN,
        "Send what the rules would say of a movement, as test messages",
        (200, 400, 403, 404, 415),
        {},
        bodies.SAMPLE,
    ),
)
