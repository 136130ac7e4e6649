"""The API's answers. Everything read from the ledger is read, and written as JSON, off the event loop."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from watcher.ledger import earlier, queries
from watcher.ledger.history import history as history_page
from watcher.web import hiding, leisure, moments, requests
from watcher.web.answers import answer, as_json
from watcher.web.backend import BACKEND
from watcher.web.history import csv_header, csv_lines, record, within
from watcher.web.problem import ApiError, bad_request, not_found
from watcher.web.views import (
    delivery_view,
    source_view,
    stale_view,
    status_view,
    treasury_view,
    unproven_view,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import date

    from watcher.ledger.history import HistoryCursor, HistoryPage, HistoryRow
    from watcher.ledger.queries import TreasuryRow
    from watcher.web.backend import Backend
    from watcher.web.moments import Moment

STATES: Final = ("pending", "delivered", "dead")


async def events(request: web.Request) -> web.Response:
    """A page of the log, oldest first; `next` can be polled for ever."""
    cursor, limit = requests.event_cursor(request), requests.limit(request)
    hide = hiding.hides(request, request.app[BACKEND].page)

    def work(connection: sqlite3.Connection) -> str:
        log = queries.log_id(connection)
        if cursor is not None and cursor.log != log:
            raise ApiError(
                HTTPStatus.GONE, "the cursor belongs to another log; begin again", kind="log-changed"
            )
        after = 0 if cursor is None else cursor.sequence
        if after > queries.last_sequence(connection):
            raise bad_request("the cursor is beyond the end of the log", "bad-cursor")
        rows = queries.events_after(connection, after, limit)
        end = rows[-1].sequence if rows else after
        return as_json(
            {"log": log, "events": [hiding.payload(row, hide=hide) for row in rows], "next": f"{log}:{end}"}
        )

    text = await request.app[BACKEND].read(work)
    return web.Response(text=text, content_type="application/json")


async def treasuries(request: web.Request) -> web.Response:
    """Every treasury."""
    backend, at = request.app[BACKEND], moments.asked(request)
    rows = backend.completed(await backend.read(queries.treasuries))
    if at is not None:
        return answer({"treasuries": await _then(backend, rows, at)})
    stale = {entry.treasury: entry.reasons for entry in await backend.stale()}
    return answer({"treasuries": [treasury_view(row, stale, backend.independent) for row in rows]})


async def treasury(request: web.Request) -> web.Response:
    """One treasury."""
    backend, at = request.app[BACKEND], moments.asked(request)
    name = request.match_info["name"]
    row = await backend.read(lambda connection: queries.treasury(connection, name))
    if row is None:
        raise not_found("no treasury of this name")
    if at is not None:
        (then,) = await _then(backend, backend.completed([row]), at)
        return answer(then)
    stale = {entry.treasury: entry.reasons for entry in await backend.stale()}
    (row,) = backend.completed([row])
    first = await backend.first_reading(name) if row.scripts and row.baselined_ms is None else ()
    view = treasury_view(row, stale, backend.independent)
    return answer(view | unproven_view(first, backend.waiting(name)))


async def _then(backend: Backend, rows: Sequence[TreasuryRow], at: int | date) -> list[dict[str, Any]]:
    """The treasuries as they were at the end of a block or day."""

    def work(connection: sqlite3.Connection) -> list[dict[str, Any]]:
        with queries.one_moment(connection):
            moment = moments.resolve(connection, rows, at)
            return [
                moments.at_view(row, moment, earlier.balance_at(connection, row.name, moment.height))
                for row in rows
            ]

    return await backend.read(work)


async def history(request: web.Request) -> web.StreamResponse:
    """A treasury's history: pages of JSON, or the whole as CSV."""
    name = request.match_info["name"]
    form = requests.choice(request, "format", ("json", "csv"), "json")
    keep = within(
        requests.day_or_instant(request, "since", end=False),
        requests.day_or_instant(request, "until", end=True),
    )
    cursor = requests.history_cursor(request)
    moment = await _moment(request, name)
    if moment is not None:
        keep = _up_to(moment, keep)
    if form == "csv":
        return await _history_csv(request, name, cursor, keep)
    limit = requests.limit(request, queries.PAGE_LIMIT)

    def work(connection: sqlite3.Connection) -> str:
        with queries.one_moment(connection):
            page = _page(connection, name, cursor, limit)
            after = page.after
            # whether there is more behind an earlier moment says nothing of it, and changes
            if after is not None and moment is not None and not _goes_on(connection, name, after, moment):
                after = None
        following = None if after is None else requests.write_history_cursor(after)
        rows = [record(row) for row in page.rows if keep(row)]
        return as_json({"treasury": name, "rows": rows, "next": following})

    return web.Response(text=await request.app[BACKEND].read(work), content_type="application/json")


async def _moment(request: web.Request, name: str) -> Moment | None:
    """The moment asked for, if one is."""
    backend, at = request.app[BACKEND], moments.asked(request)
    if at is None:
        return None
    row = await backend.read(lambda connection: queries.treasury(connection, name))
    if row is None:
        raise not_found("no treasury of this name")
    rows = backend.completed([row])
    return await backend.read(lambda connection: moments.resolve(connection, rows, at))


def _up_to(moment: Moment, keep: Callable[[HistoryRow], bool]) -> Callable[[HistoryRow], bool]:
    """Only what was in the chain then."""
    return lambda row: row.height is not None and row.height <= moment.height and keep(row)


def _goes_on(connection: sqlite3.Connection, name: str, after: HistoryCursor, moment: Moment) -> bool:
    """Whether the row behind a page is still of the moment: rows come along the chain."""
    following = history_page(connection, name, after, 1).rows
    return any(row.height is not None and row.height <= moment.height for row in following)


def _page(connection: sqlite3.Connection, name: str, cursor: HistoryCursor, limit: int) -> HistoryPage:
    if queries.treasury(connection, name) is None:
        raise not_found("no treasury of this name")
    return history_page(connection, name, cursor, limit)


async def _history_csv(
    request: web.Request, name: str, cursor: HistoryCursor, keep: Callable[..., bool]
) -> web.StreamResponse:
    """Page by page and giving way, so that a million rows hold up neither commits nor other readers."""
    backend = request.app[BACKEND]

    def read(after: HistoryCursor) -> Callable[[sqlite3.Connection], tuple[bytes, HistoryPage]]:
        def work(connection: sqlite3.Connection) -> tuple[bytes, HistoryPage]:
            page = _page(connection, name, after, leisure.PAGE)
            return csv_lines(row for row in page.rows if keep(row)).encode(), page

        return work

    lines, page = await backend.read(read(cursor))
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8; header=present",
            "Content-Disposition": f'attachment; filename="{name}.csv"',
        }
    )
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    await response.write(csv_header().encode() + lines)
    while page.after is not None:
        lines, page = await leisure.read(backend, read(page.after))
        await response.write(lines)
    if not page.adds_up and request.transport is not None:
        # the answer must not look complete: without the last chunk a client knows that it is not
        request.transport.abort()
    return response


async def sources(request: web.Request) -> web.Response:
    """Every source's health, and the quorum."""
    snapshot = await request.app[BACKEND].snapshot()
    quorum = snapshot.quorum
    return answer(
        {
            "quorum": {"required": quorum.required, "independent": quorum.independent, "fresh": quorum.fresh},
            "sources": [source_view(source) for source in snapshot.sources],
        }
    )


async def deliveries(request: web.Request) -> web.Response:
    """The outbox, newest first; `next` is the `before` of the next page."""
    limit = requests.limit(request)
    state = requests.choice(request, "state", STATES, None)
    endpoint = request.query.get("endpoint")
    before = requests.number(request, "before")

    def work(connection: sqlite3.Connection) -> str:
        rows = queries.deliveries(connection, limit=limit, state=state, endpoint=endpoint, before=before)
        following = rows[-1].id if len(rows) == limit else None
        return as_json({"deliveries": [delivery_view(row) for row in rows], "next": following})

    return web.Response(text=await request.app[BACKEND].read(work), content_type="application/json")


async def status(request: web.Request) -> web.Response:
    """The whole daemon at one glance."""
    backend = request.app[BACKEND]
    return answer(status_view(await backend.snapshot(), await backend.unready(), backend.independent))


async def healthz(_request: web.Request) -> web.Response:
    """The process works: it has answered."""
    return answer({"healthy": True})


async def readyz(request: web.Request) -> web.Response:
    """Whether config, ledger and page are ready; upstream does not matter."""
    reasons = list(await request.app[BACKEND].unready())
    return _verdict("ready", {"reasons": reasons}, holds=not reasons)


async def freshz(request: web.Request) -> web.Response:
    """Whether every treasury is fresh."""
    stale = stale_view(await request.app[BACKEND].stale())
    return _verdict("fresh", {"stale": stale}, holds=not stale)


def _verdict(word: str, why: dict[str, Any], *, holds: bool) -> web.Response:
    status = HTTPStatus.OK if holds else HTTPStatus.SERVICE_UNAVAILABLE
    return answer({word: holds} | why, status)
