"""Atom feeds: one entry an incident, with an id that stays; a correction updates it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from watcher.core.instants import rfc3339
from watcher.delivery.texts.facts import clean
from watcher.ledger import pages, queries
from watcher.web.backend import BACKEND
from watcher.web.page import render
from watcher.web.page.pages import teller
from watcher.web.page.words import Words
from watcher.web.problem import not_found

if TYPE_CHECKING:
    import sqlite3

    from aiohttp import web

    from watcher.web.page.told import ToldEvent

_ENTRIES: Final = 50
_STORY: Final = 100
_NAMES: Final = uuid.UUID("5b0e9d52-52c8-5b5c-9f43-3a3a4f1c7c1e")  # ours, so that ids differ from others'


class _Entry(NamedTuple):
    """An incident, or an event that belongs to none: what was told of it, the oldest first."""

    story: tuple[ToldEvent, ...]


async def feed(request: web.Request) -> web.Response:
    """What happened, of every treasury."""
    return await _feed(request, None)


async def treasury_feed(request: web.Request) -> web.Response:
    """What happened, of one treasury."""
    return await _feed(request, request.match_info["name"])


async def _feed(request: web.Request, name: str | None) -> web.Response:
    backend = request.app[BACKEND]
    rows = tuple(await backend.read(queries.treasuries))
    title = next((row.title for row in rows if row.name == name), None)
    if name is not None and title is None:
        raise not_found("no treasury of this name")
    tell = teller(backend, rows)

    def work(connection: sqlite3.Connection) -> tuple[list[_Entry], int]:
        with queries.one_moment(connection):
            entries = []
            for row in pages.news(connection, name, _ENTRIES):
                told = tell.tell(row)
                story = [row] if told.incident is None else pages.incident(connection, told.incident, _STORY)
                # the latest even where the story is too long to be told whole
                told_all = [tell.tell(each) for each in story if each.sequence != row.sequence]
                entries.append(_Entry((*told_all, told)))
            return entries, pages.created_ms(connection)

    entries, created = await backend.read(work)
    base, path = render.base_of(request), "" if name is None else f"/treasuries/{name}"
    words = Words(backend.page.lang)
    root = Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": words.lang})
    heading = words("site") if title is None else f"{words('site')}: {clean(title)}"
    SubElement(root, "title").text = heading
    SubElement(root, "subtitle").text = words("cannot_see")
    SubElement(root, "id").text = _id(f"feed {backend.identity.log} {name or ''}")
    latest = max((entry.story[-1].at_ms for entry in entries), default=created)
    SubElement(root, "updated").text = rfc3339(latest)
    SubElement(SubElement(root, "author"), "name").text = words("site")
    SubElement(root, "link", rel="self", type="application/atom+xml", href=f"{base}{path}/feed.atom")
    SubElement(root, "link", rel="alternate", type="text/html", href=f"{base}{path or '/'}")
    for entry in entries:
        _add(root, entry, base)
    body = b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="utf-8")
    return render.tagged(request, body, "application/atom+xml; charset=utf-8", "default-src 'none'")


def _add(root: Element, entry: _Entry, base: str) -> None:
    first, last = entry.story[0], entry.story[-1]
    found = SubElement(root, "entry")
    SubElement(found, "title").text = last.title
    SubElement(found, "id").text = _id(last.incident or last.id)
    SubElement(found, "published").text = first.at
    SubElement(found, "updated").text = last.at
    SubElement(found, "link", rel="alternate", type="text/html", href=f"{base}{last.path}")
    if last.treasury is not None:
        SubElement(found, "category", term=last.treasury)
    lines = [f"{each.at[:16].replace('T', ' ')} UTC  {each.title}" for each in reversed(entry.story)]
    SubElement(found, "content", type="text").text = "\n".join([*last.lines, "", *lines])


def _id(name: str) -> str:
    return uuid.uuid5(_NAMES, name).urn
