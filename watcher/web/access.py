"""Who may ask what: the Host a request names, the token it carries, the page that sends it.

A page of another site can make a browser ask us anything. It cannot read the answer, cannot name us by
a host of its own (`Host` is compared exactly, against rebinding) and cannot write (`Origin`).
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from watcher.web.guesses import GUESSES
from watcher.web.problem import ApiError, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(IntEnum):
    """What a caller may see and do; each includes those below."""

    NOTHING = 0
    PUBLIC = 1  # what a treasury publishes: balances, history, events
    READ = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Owner:
    """The control socket: the file's mode has already said who may connect."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A listening address that anybody may reach: tokens where configured, and the Host checked."""

    external_url: str = ""
    public: bool = False
    read_token: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)


Access: TypeAlias = Owner | Guarded

# how far the caller of a request reaches; the owner's requests, and those of what holds no data, have none
LEVEL: Final[web.RequestKey[Level]] = web.RequestKey("level", Level)
DOOR: Final[web.AppKey[Access]] = web.AppKey("door")

_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="treasury-watcher", charset="UTF-8"'}
_MAX_CREDENTIALS: Final = 1024
COOKIE: Final = "treasury-watcher"


def prefix_of(door: Access) -> str:
    """The path of the external URL, which a proxy in front may pass on or take away; mostly empty."""
    return urlsplit(door.external_url).path.rstrip("/") if isinstance(door, Guarded) else ""


def check_host(request: web.Request, access: Guarded) -> None:
    """Refuse a request that does not name the address it came to, localhost there, or `external_url`."""
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1:
        raise bad_request("one Host header is required")
    own = _own_authorities(request, access)
    if request.transport is not None and isinstance(request.transport.get_extra_info("sockname"), str):
        own.add(("localhost", ""))  # a Unix socket: whoever may connect to it is on this machine
    if _authority(hosts[0]) not in own:
        raise bad_request("the Host header names another server; http.external_url can allow it")


def check_origin(request: web.Request, access: Guarded) -> None:
    """Refuse a write sent by a page of another site."""
    origin = request.headers.get("Origin")
    if origin is None and request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}:
        return
    scheme, _, authority = (origin or "").partition("://")  # nothing follows it (RFC 6454)
    if scheme.lower() in {"http", "https"} and _authority(authority) in _own_authorities(request, access):
        return
    raise ApiError(HTTPStatus.FORBIDDEN, "a page of another site may not write here")


def authorize(request: web.Request, access: Guarded, needed: Level) -> Level:
    """How far the caller's token reaches (Bearer, Basic with any user, or the cookie got at /login).

    Refuses one that does not reach `needed`.
    """
    credentials = request.headers.get("Authorization")
    if credentials is None:
        session_level = _level_of_session(request.cookies.get(COOKIE, ""), access)
        level = max(_anonymous(access), session_level)
        if level < needed and not session_level and (access.read_token or access.admin_token):
            raise ApiError(HTTPStatus.UNAUTHORIZED, "a token is required", headers=_CHALLENGE)
    else:
        guesses = request.app[GUESSES]
        guesses.check(request)
        level = _level_of(_token(credentials), access)
        if level is Level.NOTHING:
            guesses.wrong(request)
            raise ApiError(HTTPStatus.UNAUTHORIZED, "this token opens nothing", headers=_CHALLENGE)
    if level < needed:
        raise ApiError(HTTPStatus.FORBIDDEN, "this is not open to you")
    return level


def session(token: str, access: Guarded) -> str | None:
    """What the cookie holds for a token that opens something; None for any other.

    Derived from the token, so that a new token ends every session, and of no use as a token itself.
    """
    level = _level_of(token, access) if access.read_token or access.admin_token else Level.NOTHING
    return None if level is Level.NOTHING else _session_of(token)


def _session_of(token: str) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"treasury-watcher session", sha256).hexdigest()


def _level_of_session(cookie: str, access: Guarded) -> Level:
    found = Level.NOTHING
    for level, token in ((Level.READ, access.read_token), (Level.ADMIN, access.admin_token)):
        expected = _session_of(token or "").encode()
        given = cookie[:_MAX_CREDENTIALS].encode("utf-8", "surrogatepass")
        if hmac.compare_digest(given, expected) and token:
            found = level
    return found


def _anonymous(access: Guarded) -> Level:
    if access.public:
        return Level.PUBLIC
    if access.read_token:
        return Level.NOTHING
    return Level.READ if access.admin_token else Level.ADMIN


def _level_of(token: str, access: Guarded) -> Level:
    """Both are always compared, in constant time, so that the answer's delay tells neither."""
    given = sha256(token.encode("utf-8", "surrogatepass")).digest()
    admin = _equal(given, access.admin_token)
    read = _equal(given, access.read_token)
    if admin:
        return Level.ADMIN
    if read:
        return Level.READ
    # credentials nobody asked for (a proxy's own) open what no credentials open
    return _anonymous(access) if not access.read_token and not access.admin_token else Level.NOTHING


def _equal(given: bytes, token: str | None) -> bool:
    expected = sha256((token or "").encode()).digest()
    return hmac.compare_digest(given, expected) and bool(token)


def _token(credentials: str) -> str:
    scheme, _, rest = credentials[:_MAX_CREDENTIALS].partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                return b64decode(rest.strip(), validate=True).decode().partition(":")[2]
            except ValueError:  # no base64, not even ASCII, or no UTF-8 in it
                return ""
        case _:
            return ""


def _authority(text: str) -> tuple[str, str] | None:
    """(host, port) of a Host header, port empty where none is given; None: not in the one form allowed."""
    match = _HOST.fullmatch(text.lower())
    return None if match is None else (match[1], match[2] or "")


def _own_authorities(request: web.Request, access: Guarded) -> set[tuple[str, str] | None]:
    own: set[tuple[str, str] | None] = set()
    if access.external_url:
        parts = urlsplit(access.external_url)
        default = _DEFAULT_PORTS.get(parts.scheme, "")
        external = _authority(parts.netloc)
        if external is not None:
            host, port = external
            own.add((host, port))
            if port in {"", default}:
                own |= {(host, ""), (host, default)}
    transport = request.transport
    local = None if transport is None else transport.get_extra_info("sockname")
    if isinstance(local, tuple):
        address, port = str(local[0]), str(local[1])
        address = address.removeprefix("::ffff:")
        names = {f"[{address}]" if ":" in address else address}
        if address.startswith("127.") or address == "::1":
            names.add("localhost")
        own |= {(name, port) for name in names}
        if port == "80":
            own |= {(name, "") for name in names}
    return own


_DEFAULT_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}
