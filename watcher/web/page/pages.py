"""The pages: every treasury, one treasury, an incident, an event, and what the words mean."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from watcher.core.events import CORRECTIONS, RUNG_EVENTS
from watcher.delivery.texts.facts import clean
from watcher.ledger import course as courses
from watcher.ledger import earlier, pages, queries
from watcher.web import moments
from watcher.web.backend import BACKEND
from watcher.web.page import chart as charts
from watcher.web.page import render
from watcher.web.page.figures import ROWS, Asked, card
from watcher.web.page.told import Teller
from watcher.web.page.words import Words
from watcher.web.problem import bad_request, not_found

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import date

    from aiohttp import web

    from watcher.ledger.earlier import Book, Step
    from watcher.ledger.queries import TreasuryRow
    from watcher.web.backend import Backend
    from watcher.web.moments import Moment
    from watcher.web.snapshot import SourceFigure

# what a page that follows the log listens to
EVENT_TYPES: Final = (
    *sorted(RUNG_EVENTS | CORRECTIONS | {"tx.moved"}),
    *("watch.baselined", "watch.added", "watch.removed", "watch.collided", "watch.separated"),
    *("config.changed", "chain.reorganized", "source.failed", "source.recovered", "source.disagreed"),
    *("source.agreed", "source.pinned", "treasury.stale", "treasury.fresh", "balance.crossed"),
    *("balance.restored", "claim.mismatched", "claim.matched", "endpoint.failed", "endpoint.recovered"),
    *("endpoint.paused", "incident.noted", "movement.expected"),
)
_NEWS: Final = 20
_STORY: Final = 500
_NUMBERS: Final = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_BEHIND: Final = 2**62


class _Outline(NamedTuple):
    """What a chart is drawn from, but its steps; `begun` and `end` in seconds."""

    until: int
    end: int
    book: Book | None
    begun: int
    extent: courses.Extent


class _Present(NamedTuple):
    """The daemon's present as pages need it, gathered before the ledger is read.

    `cursor` is where the log ended then: a page that follows it from there misses nothing that `rows` lack.
    """

    rows: tuple[TreasuryRow, ...]
    stale: dict[str, tuple[str, ...]]
    cursor: str


async def _present(backend: Backend) -> _Present:
    def work(connection: sqlite3.Connection) -> tuple[Sequence[TreasuryRow], str]:
        with queries.one_moment(connection):
            end = queries.last_sequence(connection)
            return queries.treasuries(connection), f"{queries.log_id(connection)}:{end}"

    rows, cursor = await backend.read(work)
    stale = {entry.treasury: entry.reasons for entry in await backend.stale()}
    return _Present(tuple(backend.completed(rows)), stale, cursor)


async def _first_readings(backend: Backend, rows: Iterable[TreasuryRow]) -> dict[str, Sequence[SourceFigure]]:
    """What each source says of those that are being read for the first time."""
    return {
        row.name: await backend.first_reading(row.name)
        for row in rows
        if row.baselined_ms is None and row.scripts
    }


def teller(backend: Backend, rows: tuple[TreasuryRow, ...]) -> Teller:
    """Tells events in the page's language, with or without addresses as the operator wants it."""
    hidden = None if backend.page.addresses else Words(backend.page.lang)("hidden_address")
    return Teller(backend.page.lang, rows, hidden=hidden)


async def home(request: web.Request) -> web.Response:
    """Every treasury, what happened, and for whom may see it the sources and the outbox."""
    backend = request.app[BACKEND]
    snapshot = await backend.snapshot()
    rows, stale = snapshot.ledger.treasuries, {s.treasury: s.reasons for s in snapshot.stale}
    tell = teller(backend, rows)
    terms = backend.page
    first = await _first_readings(backend, rows)

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        with queries.one_moment(connection):
            tip = queries.tip(connection)
            asked = Asked(terms, stale, tip, first)
            return {
                "cards": [card(connection, row, asked) for row in rows],
                "news": [tell.tell(row) for row in pages.news(connection, None, _NEWS)],
                "tip": tip,
            }

    found = await backend.read(work)
    # of before the ledger was read again: what the snapshot lacks is told to who follows from here
    cursor = f"{backend.identity.log}:{snapshot.ledger.sequence}"
    shown = snapshot if render.may_read(request) else None
    return await render.page(
        request, "home.html", snapshot=shown, events=EVENT_TYPES, at=None, cursor=cursor, **found
    )


async def treasury_page(request: web.Request) -> web.Response:
    """One treasury, now or as it was at the end of a block or day."""
    backend = request.app[BACKEND]
    name, at = request.match_info["name"], moments.asked(request)
    before, after, version = _place(request), _number(request, "after"), _number(request, "version")
    present = await _present(backend)
    row = _named(present.rows, name)
    tell = teller(backend, present.rows)
    terms = backend.page
    first = await _first_readings(backend, [row] if at is None else [])

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        with queries.one_moment(connection):
            tip = queries.tip(connection)
            moment = None if at is None else moments.resolve(connection, [row], at)
            place = _until(before, moment)
            height = _BEHIND if moment is None else moment.height
            watched = pages.addresses(connection, name, after=after or 0, limit=ROWS + 1, until=height)
            versions = [] if at else pages.list_changes(connection, name, ROWS + 1, before=version)
            return {
                "card": card(connection, row, Asked(terms, present.stale, tip, first, moment)),
                "at": moment,
                "tip": tip,
                "watched": watched if terms.addresses else [],
                "unconfirmed": [] if at or before else pages.unconfirmed(connection, name, ROWS + 1),
                "movements": pages.movements(connection, name, place, ROWS + 1),
                "news": [tell.tell(e) for e in pages.news(connection, name, _NEWS)] if at is None else [],
                "versions": [tell.tell(e) for e in versions[:ROWS]],
                "next_version": versions[ROWS - 1].sequence if len(versions) > ROWS else None,
            }

    found = await backend.read(work)
    return await render.page(
        request,
        "treasury.html",
        events=EVENT_TYPES,
        terms=terms,
        waiting=backend.waiting(name) if at is None else (),
        page_rows=ROWS,
        cursor=present.cursor,
        paged={"before": before is not None, "after": bool(after), "version": version is not None},
        **found,
    )


async def chart(request: web.Request) -> web.Response:
    """The balance of a treasury as a picture."""
    backend = request.app[BACKEND]
    name, at = request.match_info["name"], moments.asked(request)
    present = await _present(backend)
    row = _named(present.rows, name)
    terms = backend.page.treasuries.get(name)
    claims = () if terms is None else terms.claims
    words = Words(backend.page.lang)

    def outline(connection: sqlite3.Connection) -> _Outline:
        with queries.one_moment(connection):
            moment = None if at is None else moments.resolve(connection, [row], at)
            tip = queries.tip(connection)
            found = None if tip is None else earlier.book(connection, name, tip.time)
            end = (0 if tip is None else tip.time) if moment is None else _end_of(moment)
            until = (0 if tip is None else tip.height) if moment is None else moment.height
            return _Outline(
                until,
                end or 0,
                found,
                0 if found is None else earlier.block_at(connection, found.anchor) or 0,
                courses.extent(connection, name, until),
            )

    drawn = await backend.read(outline)
    book, until = drawn.book, drawn.until
    if book is not None and book.remainder and until < book.anchor:
        book = None  # what was there then is not known
    steps = [] if book is None else await _steps(backend, name, drawn)

    def draw() -> bytes:
        course = [] if book is None else charts.points(steps, book.remainder, (book.anchor, drawn.begun))
        marks = [charts.Mark(_noon(c.as_of), c.sats) for c in claims if c.sats]
        return charts.chart(course, drawn.end, marks, title=clean(row.title), words=words)

    body = await asyncio.to_thread(draw)
    return render.tagged(request, body, "image/svg+xml; charset=utf-8", charts.CSP)


async def _steps(backend: Backend, name: str, drawn: _Outline) -> list[Step]:
    """The course, a long one in several reads: none takes longer than a read may, others come in between."""
    extent, until = drawn.extent, drawn.until
    found: list[Step] = []
    for ids in extent.parts():

        def part(connection: sqlite3.Connection, ids: tuple[int, int] = ids) -> list[Step]:
            return courses.part(connection, name, extent.width, ids, until)

        found += await backend.read(part)
    return courses.joined(found, extent.width)


async def incident(request: web.Request) -> web.Response:
    """Everything told of one incident."""
    backend = request.app[BACKEND]
    name = request.match_info["id"]
    rows = await backend.read(lambda connection: pages.incident(connection, name, _STORY))
    if not rows:
        raise not_found("no incident of this id")
    present = await _present(backend)
    tell = teller(backend, present.rows)
    story = [tell.tell(row) for row in rows]
    return await render.page(request, "incident.html", story=story, **_watching(present, story[-1].treasury))


async def event(request: web.Request) -> web.Response:
    """One entry of the log."""
    backend = request.app[BACKEND]
    name = request.match_info["id"]
    row = await backend.read(lambda connection: pages.event(connection, name))
    if row is None:
        raise not_found("no event of this id")
    present = await _present(backend)
    told = teller(backend, present.rows).tell(row)
    return await render.page(request, "event.html", told=told, **_watching(present, told.treasury))


async def trust(request: web.Request) -> web.Response:
    """What the words mean."""
    return await render.page(request, "trust.html")


def _watching(present: _Present, name: str | None) -> dict[str, Any]:
    return {"whose": next((row for row in present.rows if row.name == name), None)}


def _named(rows: tuple[TreasuryRow, ...], name: str) -> TreasuryRow:
    row = next((row for row in rows if row.name == name), None)
    if row is None:
        raise not_found("no treasury of this name")
    return row


def _place(request: web.Request) -> tuple[int, int, int] | None:
    text = request.query.get("before")
    if text is None:
        return None
    match = _NUMBERS.fullmatch(text)
    if match is None:
        raise bad_request("before is a place as found in the page's links", "bad-cursor")
    return int(match[1]), int(match[2]), int(match[3])


def _until(before: tuple[int, int, int] | None, moment: Moment | None) -> tuple[int, int, int]:
    end = (_BEHIND, 0, 0) if moment is None else (moment.height, _BEHIND, 0)
    return end if before is None else min(before, end)


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad_request(f"{name} is a number as found in the page's links", "bad-cursor")
    return int(text)


def _noon(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())


def _end_of(moment: Moment) -> int | None:
    """When a chart of it ends: a day at its last second, of whose last block no header may be kept."""
    return moment.time if moment.day is None else _noon(moment.day) + 43_199
