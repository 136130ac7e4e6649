"""The OpenAPI document, as true as the routing table it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watcher.web import schemas
from watcher.web.answers import answer
from watcher.web.backend import BACKEND
from watcher.web.routes import HTML, ROUTES, Route

if TYPE_CHECKING:
    from aiohttp import web


async def openapi(request: web.Request) -> web.Response:
    """The OpenAPI document of `ROUTES`."""
    return answer(document(request.app[BACKEND].identity.version))


def document(version: str) -> dict[str, Any]:
    """OpenAPI 3.1, as true as the routing table it is made of."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = route.path.replace(":[0-9]{1,18}", "")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Treasury Watcher", "version": version},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            }
        },
    }


def _operation(route: Route, path: str) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": kind}}
        for name, kind in (("name", "string"), ("id", "integer" if "{id:" in route.path else "string"))
        if f"{{{name}}}" in path
    ]
    parameters += [{"name": name, "in": "query", "schema": s} for name, s in (route.query or {}).items()]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.handler.__name__,
        "parameters": parameters,
        "responses": {str(status): _answer(route, status) for status in _statuses(route)},
    }
    if route.level is not None:
        operation["security"] = [{}, {"bearer": []}, {"basic": []}]
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    return operation


def _statuses(route: Route) -> tuple[int, ...]:
    # 503: the ledger cannot be read now; 408 and 413 are said of any body
    guarded = () if route.level is None else (401, 403, 429, 503)
    sent = (408, 413) if route.method == "POST" else ()
    return tuple(sorted({*route.answers, *guarded, *sent}))


def _answer(route: Route, status: int) -> dict[str, Any]:
    if 300 <= status < 400:
        return {"description": "Look there"}
    if status >= 400 and route.level is not None:
        # who asks as a browser does gets a page
        content = {"application/problem+json": {"schema": schemas.PROBLEM}, HTML: {}}
        return {"description": "Not so", "content": content}
    content = {route.content: {"schema": route.schema} if route.schema else {}}
    if "format" in (route.query or {}):
        content["text/csv"] = {}
    return {"description": route.summary, "content": content}
