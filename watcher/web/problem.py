"""Errors as RFC 9457 problem details. The detail is ours: nothing of the request is repeated in it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from aiohttp import web

CONTENT_TYPE: Final = "application/problem+json"


class ApiError(Exception):
    """An answer that is an error; `kind` is the problem's `type`."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        kind: str = "about:blank",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers


def response(problem: ApiError) -> web.Response:
    """The problem as it goes out."""
    body = {
        "type": problem.kind,
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
    }
    # that type has no charset: RFC 8259 says which
    return web.Response(
        body=json.dumps(body).encode(),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def bad_request(detail: str, kind: str = "about:blank") -> ApiError:
    """The request itself is at fault."""
    return ApiError(HTTPStatus.BAD_REQUEST, detail, kind=kind)


def not_found(detail: str) -> ApiError:
    """There is no such thing."""
    return ApiError(HTTPStatus.NOT_FOUND, detail)
