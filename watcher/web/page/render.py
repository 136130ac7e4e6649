"""Templates into answers: escaped, with a policy that lets nothing in from outside, and with an ETag."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from watcher.core.instants import rfc3339, rfc3339_seconds
from watcher.delivery.texts.facts import clean
from watcher.web.access import DOOR, LEVEL, Guarded, Level
from watcher.web.backend import BACKEND
from watcher.web.history import btc
from watcher.web.page.words import Words
from watcher.web.problem import ApiError, not_found

if TYPE_CHECKING:
    from watcher.bitcoin.types import Sats

SOURCE_CODE: Final = "https://github.com/treasury-watcher/treasury-watcher"
CSP: Final = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_THIN: Final = "\u202f"  # a narrow space that does not break: groups digits in every language
_NOTHING: Final = Markup("\N{EN DASH}")
_YEAR: Final = 31_536_000
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file; `name` has its hash in it, so that it may be kept for ever."""

    name: str
    body: bytes
    content_type: str


def _asset(stem: str, suffix: str, content_type: str) -> Asset:
    body = resources.files("watcher.web.page").joinpath("static", f"{stem}.{suffix}").read_bytes()
    return Asset(f"{stem}.{hashlib.sha256(body).hexdigest()[:16]}.{suffix}", body, content_type)


STYLE: Final = _asset("page", "css", "text/css")
SCRIPT: Final = _asset("page", "js", "text/javascript")
_ICON: Final = _asset("icon", "svg", "image/svg+xml")
_ASSETS: Final = {asset.name: asset for asset in (STYLE, SCRIPT, _ICON)}


def grouped(sats: Sats, *, signed: bool = False) -> str:
    """The exact amount with its digits grouped: `6 240.00000000`; `signed` shows a plus too."""
    whole, _, part = btc(abs(sats)).partition(".")
    if len(whole) > 4:
        head = len(whole) % 3
        groups = [whole[:head], *(whole[i : i + 3] for i in range(head, len(whole), 3))]
        whole = _THIN.join(group for group in groups if group)
    sign = "\u2212" if sats < 0 else "+" if signed and sats else ""
    return f"{sign}{whole}.{part}"


def isolated(text: object, limit: int = 200) -> Markup:
    """Text from outside: cleaned of what cannot be seen, escaped, and kept from turning its neighbours."""
    return Markup("<bdi>{}</bdi>").format(clean(str(text), limit))


def when(ms: int | None) -> Markup:
    """An instant in milliseconds as `2026-11-24 12:00:00 UTC`."""
    if ms is None:
        return _NOTHING
    text = rfc3339(ms)
    return Markup('<time datetime="{}">{} {} UTC</time>').format(text, text[:10], text[11:19])


def mined(seconds: int | None) -> Markup:
    """A block's time as `2026-11-24 12:00`."""
    if seconds is None:
        return _NOTHING
    text = rfc3339_seconds(seconds)
    return Markup('<time datetime="{}">{} {}</time>').format(text, text[:10], text[11:16])


def day(value: object) -> Markup:
    """A day, not to be broken at its hyphens; whatever else stands in its place as it is, cleaned."""
    text = clean(str(value))
    return Markup('<span class="day">{}</span>').format(text) if _DAY.fullmatch(text) else escape(text)


def linked(url: str | None) -> str | None:
    """An address to link to; None for what a browser might run."""
    return url if url and url.lower().startswith(("https://", "http://")) else None


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("watcher.web.page", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "btc": grouped, "bdi": isolated, "when": when, "mined": mined, "day": day, "linked": linked,
    "clean": clean,
}  # fmt: skip


def root_of(request: web.Request) -> str:
    """What stands before every path: the external URL's own path, for who came by that URL."""
    parts = urlsplit(request.app[BACKEND].page.external_url)
    return parts.path.rstrip("/") if request.host.lower() == parts.netloc.lower() else ""


def base_of(request: web.Request) -> str:
    """The whole address of the page, without a slash at its end."""
    external = request.app[BACKEND].page.external_url
    return external.rstrip("/") or f"{request.scheme}://{request.host}"


def may_read(request: web.Request) -> bool:
    """Whether the caller may see sources and outbox; nobody has been let in where a token is asked for."""
    level: Level = request.get(LEVEL, Level.NOTHING if has_tokens(request) else Level.ADMIN)
    return level >= Level.READ


def has_tokens(request: web.Request) -> bool:
    """Whether there is a token to log in with."""
    door = request.app[DOOR]
    return isinstance(door, Guarded) and bool(door.read_token or door.admin_token)


async def page(
    request: web.Request, template: str, status: HTTPStatus = HTTPStatus.OK, **context: Any
) -> web.Response:
    """A page; rendered off the loop."""
    backend = request.app[BACKEND]
    context |= {
        "t": Words(backend.page.lang),
        "root": root_of(request),
        "version": backend.identity.version,
        "network": backend.identity.network,
        "style": STYLE.name,
        "script": SCRIPT.name,
        "icon": _ICON.name,
        "source_code": SOURCE_CODE,
        "tokens": has_tokens(request),
        "insider": may_read(request),
    }
    text = await asyncio.to_thread(_ENVIRONMENT.get_template(template).render, context)
    return tagged(request, text.encode(), "text/html; charset=utf-8", CSP, status)


def tagged(
    request: web.Request, body: bytes, content_type: str, csp: str, status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    """A body with its ETag; 304 without it where the client has it already."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": csp, "ETag": f'"{etag}"'}
    known = request.if_none_match or ()
    if status is HTTPStatus.OK and any(tag.value in {etag, "*"} for tag in known):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=body, status=status, headers=headers | {"Content-Type": content_type})


def let_forms_name_us(answer: web.Response) -> None:
    """For a page with a form that writes: with no-referrer a browser sends `Origin: null` with it.

    Then it could not be told from another site's.
    """
    answer.headers["Referrer-Policy"] = "same-origin"


async def static(request: web.Request) -> web.Response:
    """The style, the script and the icon."""
    asset = _ASSETS.get(request.match_info["file"])
    if asset is None:
        raise not_found("no file of this name")
    keep = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}
    return web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8", headers=keep)


def wants_page(request: web.Request) -> bool:
    """Whether a person's browser asks, for something that is no file or data."""
    return "text/html" in request.headers.get("Accept", "") and not request.path.removeprefix(
        root_of(request)
    ).startswith("/api/")


async def problem_page(request: web.Request, problem: ApiError) -> web.Response:
    """An error as a page."""
    words = Words(request.app[BACKEND].page.lang)
    key = f"problem_{problem.status.value}"
    title = words(key if words.has(key) else "problem_other")
    # what people meet by the page's own links and fields is told in its language
    kind = f"problem_{problem.kind}"
    told = words(kind, day=day("2026-11-24")) if words.has(kind) else None
    # the detail is in English: beside a title in another language only where it says what to mend
    foreign = words.lang != "en" and problem.status is not HTTPStatus.BAD_REQUEST
    detail = "" if foreign or problem.detail.lower() == title.lower() else problem.detail
    if foreign and told is None and problem.status is HTTPStatus.NOT_FOUND:
        told = words("problem_nothing")
    login = problem.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    answer = await page(
        request, "problem.html", problem.status, title=title, told=told, detail=detail, login=login
    )
    # without the challenge: a browser would put its own window before the page that says where to log in
    answer.headers.update({k: v for k, v in (problem.headers or {}).items() if k != "WWW-Authenticate"})
    return answer
