"""The outbox for people: what is owed to each endpoint, and the button that sends one again.

The form carries no secret. A page of another site cannot send it: the cookie is `SameSite=Strict` and
`Origin` is compared for every write (`watcher.web.access`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from watcher.ledger import queries
from watcher.web import requests
from watcher.web.access import LEVEL, Level
from watcher.web.api import STATES
from watcher.web.backend import BACKEND
from watcher.web.page import render
from watcher.web.page.pages import EVENT_TYPES
from watcher.web.problem import ApiError, not_found

if TYPE_CHECKING:
    import sqlite3

ROWS: Final = 50  # of the outbox on one page


async def outbox(request: web.Request) -> web.Response:
    """The deliveries, newest first; with a button each for whoever may send one again."""
    state = requests.choice(request, "state", STATES, None)
    before = requests.number(request, "before")
    backend = request.app[BACKEND]

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        with queries.one_moment(connection):
            return {
                "rows": queries.deliveries(connection, limit=ROWS + 1, state=state, before=before),
                "counts": queries.outbox_counts(connection),
                "cursor": f"{queries.log_id(connection)}:{queries.last_sequence(connection)}",
            }

    found = await backend.read(work)
    answer = await render.page(
        request,
        "outbox.html",
        events=EVENT_TYPES,
        states=STATES,
        asked=state,
        paged=before is not None,
        page_rows=ROWS,
        may_write=request.get(LEVEL, Level.ADMIN) >= Level.ADMIN,
        **found,
    )
    render.let_forms_name_us(answer)
    return answer


async def send_again(request: web.Request) -> web.Response:
    """Make one delivery due now, and back to where it stands."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is a form")
    delivery = int(request.match_info["id"])
    if not await request.app[BACKEND].redeliver(delivery):
        raise not_found("no delivery of this id")
    where = f"{render.root_of(request)}/outbox?before={delivery + 1}#d-{delivery}"
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": where})
