"""What a request may ask with: query parameters and bodies, bounded and checked before anything is done."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

from watcher.ledger.history import HistoryCursor, Place
from watcher.ledger.queries import PAGE_LIMIT
from watcher.web.problem import ApiError, bad_request

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

DEFAULT_LIMIT: Final = 100  # CONTRACT
MAX_BODY: Final = 65_536
_BODY_SECONDS: Final = 20.0

_SEQUENCE: Final = re.compile(r"[0-9]{1,18}", re.ASCII)  # below 2**63 whatever the digits
_LOG: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SIGNED: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MAX_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EventCursor:
    """A place in a log."""

    log: str
    sequence: int


def check_names(request: web.Request, allowed: frozenset[str]) -> None:
    """Refuse what would otherwise be ignored: an unknown parameter, one given twice or empty."""
    names = [name for name, _ in request.query.items()]
    if len(names) != len(set(names)):
        raise bad_request("a query parameter is given twice")
    if not allowed.issuperset(names):
        known = ", ".join(sorted(allowed)) or "none"
        raise bad_request(f"unknown query parameter; known here: {known}")
    for name in names:
        if not request.query[name]:
            raise bad_request(f"{name} is empty: leave it out, or give it a value", "empty-parameter")


def limit(request: web.Request, default: int = DEFAULT_LIMIT) -> int:
    """How many rows are asked for."""
    text = request.query.get("limit")
    if text is None:
        return default
    if not _SEQUENCE.fullmatch(text) or not 1 <= int(text) <= PAGE_LIMIT:
        raise bad_request(f"limit is a number from 1 to {PAGE_LIMIT}", "bad-limit")
    return int(text)


def event_cursor(request: web.Request) -> EventCursor | None:
    """`after=LOG:SEQ`; None: from the first event."""
    text = request.query.get("after")
    return None if text is None else cursor_of(text)


def cursor_of(text: str) -> EventCursor:
    """The cursor that `LOG:SEQ` is."""
    log, _, sequence = text.partition(":")
    if not _LOG.fullmatch(log) or not _SEQUENCE.fullmatch(sequence):
        raise bad_request("after is a cursor LOG:SEQ as found in `next`", "bad-cursor")
    return EventCursor(log, int(sequence))


def history_cursor(request: web.Request) -> HistoryCursor:
    """`after` of a history, as found in `next`."""
    text = request.query.get("after")
    if text is None:
        return HistoryCursor()
    parts = text.split(".")
    if len(parts) != 5 or not all(_SIGNED.fullmatch(part) for part in parts):
        raise bad_request("after is a cursor as found in `next`", "bad-cursor")
    height, nth, key, balance, remainder = (int(part) for part in parts)
    if max(abs(int(part)) for part in parts) > _MAX_INTEGER:
        raise bad_request("after is a cursor as found in `next`", "bad-cursor")
    return HistoryCursor(Place(height, nth, key), balance, remainder)


def write_history_cursor(cursor: HistoryCursor) -> str:
    """The form that `history_cursor` reads."""
    return ".".join(str(part) for part in (*cursor.place, cursor.balance, cursor.remainder or 0))


def number(request: web.Request, name: str) -> int | None:
    """An id given as a query parameter."""
    text = request.query.get(name)
    if text is None:
        return None
    if not _SEQUENCE.fullmatch(text):
        raise bad_request(f"{name} is a number")
    return int(text)


def choice(request: web.Request, name: str, options: tuple[str, ...], default: str | None) -> str | None:
    """One of a closed list."""
    text = request.query.get(name, default)
    if text is not None and text not in options:
        raise bad_request(f"{name} is one of {', '.join(options)}")
    return text


def day_or_instant(request: web.Request, name: str, *, end: bool) -> str | None:
    """A UTC day or instant, as text that block times compare with; a day's `end` is its last second."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return bound(text, end=end)
    except ValueError:
        raise bad_request(f"{name} is a UTC day or an RFC 3339 instant with Z") from None


def bound(text: str, *, end: bool) -> str:
    """`2026-11-24T00:00:00Z` for a day or an instant ending in Z; ValueError for anything else."""
    if _DAY.fullmatch(text):
        return f"{date.fromisoformat(text).isoformat()}T{'23:59:59' if end else '00:00:00'}Z"
    if len(text) > 32 or not text.endswith("Z"):
        raise ValueError("neither a day nor an instant")
    return f"{datetime.fromisoformat(text).isoformat(timespec='seconds')[:19]}Z"


async def in_time(body: Coroutine[Any, Any, T]) -> T:
    """A body that is being read, unless it takes too long."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await body
    except TimeoutError:
        raise ApiError(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None
    except (web.RequestPayloadError, LookupError, UnicodeError):
        raise bad_request("the body is not in the encoding that it states") from None


async def json_body(request: web.Request) -> dict[str, Any]:
    """A JSON object; an empty body is an empty object."""
    if not request.can_read_body:
        return {}
    if request.content_type != "application/json":
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is application/json")
    raw = await in_time(request.read())
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None
    if not isinstance(body, dict):
        raise bad_request("the body is a JSON object")
    return body
