"""Reads a page as a browser would: its elements, its text, and what it would fetch."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

VOID = frozenset({"meta", "link", "img", "input", "br"})
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "form": "action"}


@dataclass
class Element:
    """A start tag and all the text up to its end."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """Every element with the text inside it; an end tag that closes nothing is an error."""

    status: int
    headers: dict[str, str]
    source: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.source)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            e
            for e in self.elements
            if e.tag == tag
            and all(value in e.attributes.get(name, "").split() for name, value in wanted.items())
        ]

    def text(self, tag: str, **attributes: str) -> list[str]:
        """The words of each such element, one space between them."""
        return [" ".join(e.text.split()) for e in self.all(tag, **attributes)]

    def fetched(self) -> list[str]:
        """What a browser would ask for by itself, or send a form to."""
        return [
            e.attributes[name] for e in self.elements if (name := FETCHED.get(e.tag)) and name in e.attributes
        ]


async def page(http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None) -> Page:
    """The page at `url`, whatever its status."""
    async with http.get(url, headers={"Accept": "text/html"} | (headers or {})) as response:
        return Page(response.status, dict(response.headers), await response.text())
