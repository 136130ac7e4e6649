"""Logging in: a token for a cookie that no script can read and no other site can send."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from watcher.web import requests
from watcher.web.access import COOKIE, DOOR, Guarded, session
from watcher.web.guesses import GUESSES
from watcher.web.page import render
from watcher.web.problem import ApiError

if TYPE_CHECKING:
    from aiohttp.web import Request, Response


async def form(request: Request) -> Response:
    """Where the token is asked for."""
    return await _form(request, HTTPStatus.OK, wrong=False)


async def login(request: Request) -> Response:
    """The cookie for a token that opens something; the form again for any other."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is a form")
    token = (await requests.in_time(request.post())).get("token", "")
    door, guesses = request.app[DOOR], request.app[GUESSES]
    guesses.check(request)
    value = session(token, door) if isinstance(door, Guarded) and isinstance(token, str) else None
    if value is None:
        guesses.wrong(request)
        return await _form(request, HTTPStatus.FORBIDDEN, wrong=True)
    return _cookie(request, value)


async def logout(request: Request) -> Response:
    """Forget the cookie."""
    return _cookie(request, None)


async def _form(request: Request, status: HTTPStatus, *, wrong: bool) -> Response:
    answer = await render.page(request, "login.html", status, wrong=wrong)
    render.let_forms_name_us(answer)
    return answer


def _cookie(request: Request, value: str | None) -> Response:
    answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"{render.root_of(request)}/"})
    answer.set_cookie(
        COOKIE,
        value or "",
        path="/",
        max_age=None if value else 0,
        httponly=True,
        samesite="Strict",
        secure=render.base_of(request).startswith("https:"),
    )
    return answer
