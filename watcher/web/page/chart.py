"""The chart of a balance: a step line with what came and went under it, as one SVG file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from watcher.core.instants import rfc3339_seconds
from watcher.web.page.render import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watcher.bitcoin.types import Sats
    from watcher.ledger.earlier import Step
    from watcher.web.page.words import Words

WIDTH, HEIGHT = 720, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 32, 30
_FLOWS: Final = 56  # the strip in which flows are drawn
_NAMES: Final = 30  # the strip above it that says where zero is, and how much the longest bar
_COLUMNS: Final = 600  # so many points at most: one for each that can be told from its neighbour
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#4a5361}.line{fill:none;stroke:#9a5700;stroke-width:2}"
    ".area{fill:#9a5700;fill-opacity:.12}.in{fill:#17713a}.out{fill:#b3261e}"
    ".axis{stroke:#c3c8d0}.claim{fill:none;stroke:#1d5fb4;stroke-width:2}"
    "@media (prefers-color-scheme:dark){text{fill:#b4bcc8}.line{stroke:#f7a93b}.area{fill:#f7a93b}"
    ".in{fill:#5bd28a}.out{fill:#ff8a80}.axis{stroke:#3d4552}.claim{stroke:#7fb4ff}}"
    "@media (max-width:500px){text{font-size:26px}}"  # the width at which the picture is shown
)
# the one style block is allowed by its hash, and nothing else
CSP: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"
    f"{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


@dataclass(frozen=True, slots=True)
class Point:
    """The balance from `time` on (seconds), and what came and went there."""

    time: int
    balance: Sats
    received: Sats
    paid: Sats


@dataclass(frozen=True, slots=True)
class Mark:
    """An amount that was claimed as of an instant (seconds)."""

    time: int
    sats: Sats


def points(steps: Sequence[Step], base: Sats, anchor: tuple[int, int]) -> list[Point]:
    """The course of a balance; `base` is what was there at the first reading and no step explains.

    Before the first reading, at `anchor` (height, time), nothing is drawn while `base` is not zero: the
    balance was not known then.
    """
    found: list[Point] = []
    balance, last = base, 0
    height, time = anchor
    if base:
        balance += sum(step.amount for step in steps if step.height <= height)
        steps = [step for step in steps if step.height > height]
        found.append(Point(time, balance, 0, 0))
        last = time
    for step in steps:
        balance += step.amount
        last = max(last, step.time)  # miners' clocks differ; order is by height
        found.append(Point(last, balance, *step.flows))
    return found


def chart(course: Sequence[Point], until: int, marks: Sequence[Mark], *, title: str, words: Words) -> bytes:
    """The SVG of a course that goes on to `until`."""
    top = max((p.balance for p in course), default=0)
    marks = [m for m in marks if m.sats <= 2 * max(top, 1) and course and course[0].time <= m.time <= until]
    top = max([top, *(m.sats for m in marks), 1])
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "width": str(WIDTH),
            "height": str(HEIGHT),
            "role": "img",
            "lang": words.lang,
            "aria-labelledby": "title desc",
        },
    )
    SubElement(svg, "title", id="title").text = words("chart_title", title=title)
    SubElement(svg, "desc", id="desc").text = _description(course, until, words)
    SubElement(svg, "style").text = _STYLE
    if not course:
        _text(svg, WIDTH // 2, HEIGHT // 2, words("chart_empty"), "middle")
        return tostring(svg)
    scale = _Scale(course[0].time, max(until, course[-1].time, course[0].time + 1), top)
    _frame(svg, scale)
    shown = list(_thinned(course, scale))
    _line(svg, shown, scale)
    _flows(svg, shown, scale, words)
    if marks:
        _text(svg, WIDTH - _RIGHT, _TOP - 8, f"\N{WHITE DIAMOND} {words('chart_claim')}", "end")
    for mark in marks:
        x, y = scale.x(mark.time), scale.y(mark.sats)
        diamond = SubElement(svg, "path", {"class": "claim", "d": f"M{x - 6:.1f} {y:.1f}l6 -6 6 6 -6 6z"})
        SubElement(diamond, "title").text = f"{words('chart_claim')} {grouped(mark.sats)} BTC"
    return tostring(svg)


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: int
    end: int
    top: Sats

    def x(self, time: int) -> float:
        inner = WIDTH - _LEFT - _RIGHT
        return _LEFT + inner * (min(max(time, self.begin), self.end) - self.begin) / (self.end - self.begin)

    def y(self, sats: Sats) -> float:
        return _TOP + (self.floor - _TOP) * (1 - max(sats, 0) / self.top)

    @property
    def floor(self) -> int:
        return HEIGHT - _BOTTOM - _FLOWS - _NAMES


def _description(course: Sequence[Point], until: int, words: Words) -> str:
    if not course:
        return words("chart_empty")
    return words(
        "chart_desc",
        first=rfc3339_seconds(course[0].time)[:10],
        last=rfc3339_seconds(max(until, course[-1].time))[:10],
        lowest=grouped(min(p.balance for p in course)),
        highest=grouped(max(p.balance for p in course)),
        end=grouped(course[-1].balance),
    )


def _thinned(course: Sequence[Point], scale: _Scale) -> Iterator[Point]:
    """One point a column: the last balance there, and all that came and went."""
    column: Point | None = None
    width = max(1, (scale.end - scale.begin) // _COLUMNS)
    for point in course:
        if column is not None and (point.time - scale.begin) // width == (column.time - scale.begin) // width:
            received, paid = column.received + point.received, column.paid + point.paid
            column = Point(point.time, point.balance, received, paid)
            continue
        if column is not None:
            yield column
        column = point
    if column is not None:
        yield column


def _frame(svg: Element, scale: _Scale) -> None:
    floor, middle = scale.floor, HEIGHT - _BOTTOM - _FLOWS // 2
    for y in (_TOP, floor, middle):
        SubElement(svg, "line", {"class": "axis", "x1": str(_LEFT), "x2": str(WIDTH - _RIGHT),
                                 "y1": str(y), "y2": str(y)})  # fmt: skip
    _text(svg, _LEFT, _TOP - 8, f"{grouped(scale.top)} BTC", "start")
    _text(svg, _LEFT, scale.floor + 23, "0", "start")
    begin, end = rfc3339_seconds(scale.begin), rfc3339_seconds(scale.end)
    shown = 10 if begin[:10] != end[:10] else 16  # the day, and the time where it is the same day
    _text(svg, _LEFT, HEIGHT - 8, begin[:shown].replace("T", " "), "start")
    _text(svg, WIDTH - _RIGHT, HEIGHT - 8, end[:shown].replace("T", " "), "end")


def _line(svg: Element, shown: Sequence[Point], scale: _Scale) -> None:
    begin = shown[0]
    parts = [f"M{scale.x(begin.time):.1f} {scale.floor}V{scale.y(begin.balance):.1f}"]
    parts += [f"H{scale.x(p.time):.1f}V{scale.y(p.balance):.1f}" for p in shown[1:]]
    path = f"{''.join(parts)}H{WIDTH - _RIGHT}"
    SubElement(svg, "path", {"class": "area", "d": f"{path}V{scale.floor}Z"})
    SubElement(svg, "path", {"class": "line", "d": path})


def _flows(svg: Element, shown: Sequence[Point], scale: _Scale, words: Words) -> None:
    most = max(max(p.received, p.paid) for p in shown)
    if not most:
        return
    _text(svg, WIDTH - _RIGHT, scale.floor + 23, words("chart_flows", most=grouped(most)), "end")
    middle, room = HEIGHT - _BOTTOM - _FLOWS // 2, _FLOWS // 2 - 4
    for kind in ("in", "out"):
        bars = []
        for point in shown:
            sats = point.received if kind == "in" else point.paid
            if sats:
                x, tall = min(scale.x(point.time), WIDTH - _RIGHT - 2), max(1.0, room * sats / most)
                bars.append(f"M{x:.1f} {middle}h2v{-tall if kind == 'in' else tall:.1f}h-2z")
        if bars:
            SubElement(svg, "path", {"class": kind, "d": "".join(bars)})


def _text(svg: Element, x: int, y: int, text: str, anchor: str) -> None:
    SubElement(svg, "text", {"x": str(x), "y": str(y), "text-anchor": anchor}).text = text
