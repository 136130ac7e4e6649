"""What a handler answers with: JSON, or the problem with a name."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from watcher.config.errors import nearest
from watcher.web.backend import BACKEND
from watcher.web.problem import not_found

if TYPE_CHECKING:
    from watcher.web.problem import ApiError


def as_json(value: object) -> str:
    """In one line, as the API writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """`value` as JSON."""
    return web.Response(text=as_json(value), status=status, content_type="application/json")


async def unknown(request: web.Request, kind: str, name: str) -> ApiError:
    """404, for whoever may write: with the nearest name there is, or with those there are."""
    snapshot = await request.app[BACKEND].snapshot()
    known = {
        "endpoint": snapshot.endpoints,
        "source": [source.name for source in snapshot.sources],
        "treasury": [treasury.name for treasury in snapshot.ledger.treasuries],
    }
    return not_found(f"no {kind} of this name{nearest(name, known[kind])}")
