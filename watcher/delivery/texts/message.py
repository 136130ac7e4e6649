"""From stored bodies to what a person reads: a title that says it all, and a body to act on.

Addresses and transaction ids are shown whole or not at all: who shortens them in the middle invites
look-alikes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from watcher.delivery.texts.en import ENGLISH
from watcher.delivery.texts.es import SPANISH
from watcher.delivery.texts.events import event_lines, event_title
from watcher.delivery.texts.facts import btc, clean, moment, signed_btc, told_of
from watcher.delivery.texts.movements import transaction_lines, transaction_title
from watcher.delivery.texts.words import Named, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.core.outbox import Leased
    from watcher.delivery.texts.facts import Told

MAX_TITLE: Final = 200
# so many lines of a list are shown, the first figure whose message fits
_LISTED: Final = (20, 10, 5, 2)
_LARGEST: Final = 5
_CATALOGUES: Final = {"en": ENGLISH, "es": SPANISH}
_LOUDNESS: Final = {"info": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Message:
    """Plain text: `title` is one line; `link` is where to read on, None where there is no page."""

    title: str
    body: str
    severity: str
    incident: str | None
    treasury: str | None
    link: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Room:
    """How large a body may be, by the measure of whoever takes it."""

    limit: int
    measure: Callable[[str], int] = len


_Parts: TypeAlias = tuple[str, Callable[[int], list[str]], str | None]
"""A title, the body's lines for so many shown of each list, and where to read on."""


class Texts:
    """Writes messages in one language ("en" or "es"); `treasuries` says who they are, by their names."""

    def __init__(self, lang: str, treasuries: Mapping[str, Named]) -> None:
        self._words = Words(_CATALOGUES[lang], treasuries)

    def telling(self, group: Sequence[Leased], room: Room) -> Message:
        """One message for what goes out as one; what comes after later news does not read as the latest."""
        overtaken = all(delivery.overtaken for delivery in group)
        return self.message([delivery.body for delivery in group], room, overtaken=overtaken)

    def message(self, bodies: Sequence[str], room: Room, *, overtaken: bool = False) -> Message:
        """One message for one stored delivery body, or for several that are alike."""
        told = [told_of(body) for body in bodies]
        title, lines, link = self._alone(told[0]) if len(told) == 1 else self._folded(told)
        if overtaken:
            title = self._words.phrase("overtaken_title", title=title)

        def all_lines(listed: int) -> list[str]:
            return [*([self._words.phrase("overtaken")] if overtaken else []), *lines(listed)]

        return self._message(told, title, _fitted(all_lines, link, room), link)

    def _alone(self, told: Told) -> _Parts:
        words = self._words
        title = transaction_title(told, words) if told.flow else event_title(told, words)
        link = told.data.text("url", 2_000)

        def lines(listed: int) -> list[str]:
            if told.flow:
                return transaction_lines(told, words, listed)
            return event_lines(told, words, listed)

        return title, lines, link

    def _folded(self, told: list[Told]) -> _Parts:
        words, first = self._words, told[0]
        total = btc(sum(each.data.number("moved_sats") or 0 for each in told))
        treasury = words.treasury(first.data.text("treasury"))
        alone = transaction_title(first, words) if first.flow else event_title(first, words)
        title = words.say("floods", first.flow, count=len(told), btc=total, treasury=treasury, title=alone)
        if first.flow:
            title = f"{title}: {words.state(first)}"
        link = _treasury_link(first)
        times = sorted(each.at for each in told)

        def lines(listed: int) -> list[str]:
            found = [
                f"{words.phrase('folded', count=len(told))} {words.say('meanings', first.type)}",
                words.line("next", words.advice(first)),
                words.line("treasury", words.whose(first.data.text("treasury"))),
                words.line(
                    "known", " … ".join(dict.fromkeys(moment(t) or "?" for t in (times[0], times[-1])))
                ),
                f"{words.name('largest' if first.flow else 'messages')}:",
                *(f"  {line}" for line in self._largest(told, min(listed, _LARGEST))),
            ]
            return [line for line in found if line]

        return title, lines, link

    def _largest(self, told: list[Told], listed: int) -> list[str]:
        if not told[0].flow:
            return [event_title(each, self._words) for each in told[:listed]]
        by_size = sorted(told, key=lambda each: -(each.data.number("moved_sats") or 0))
        lines = []
        for each in by_size[:listed]:
            amount = signed_btc(each.data.number("amount_sats") or 0)
            where = " ".join(self._words.place(m, own=True) for m in each.data.parts("movements")[:1])
            lines.append(f"{amount}  {where}  {each.data.text('txid') or ''}".rstrip())
        return lines

    def _message(self, told: list[Told], title: str, body: str, link: str | None) -> Message:
        loudest = max((each.severity for each in told), key=lambda word: _LOUDNESS.get(word, 0))
        incidents = {each.data.text("incident") for each in told}
        return Message(
            title=clean(self._words.severity(loudest) + title, MAX_TITLE),
            body=body,
            severity=loudest,
            incident=incidents.pop() if len(incidents) == 1 else None,
            treasury=told[0].data.text("treasury"),
            link=link,
        )


def _treasury_link(told: Told) -> str | None:
    base, incidents, _ = (told.data.text("url", 2_000) or "").partition("/incidents/")
    treasury = told.data.text("treasury")
    return f"{base}/treasuries/{treasury}" if incidents and treasury else None


def _fitted(lines: Callable[[int], list[str]], link: str | None, room: Room) -> str:
    """The longest form that there is room for; at worst whole lines are left out before the link."""
    end = [link] if link else []
    for listed in _LISTED:
        body = "\n".join([*lines(listed), *end])
        if room.measure(body) <= room.limit:
            return body
    kept = lines(_LISTED[-1])
    while kept and room.measure("\n".join([*kept, "…", *end])) > room.limit:
        kept.pop()
    return "\n".join([*kept, "…", *end])
