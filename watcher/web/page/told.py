"""Events in words: the sentences that alerts send, for people who read the page or a feed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from watcher.core.instants import rfc3339
from watcher.delivery.texts.message import Room, Texts
from watcher.delivery.texts.words import Named
from watcher.web.hiding import without_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.core.events import Data
    from watcher.ledger.queries import EventRow, TreasuryRow

_ROOM: Final = Room(16_000)
_TAKEN_BACK: Final = frozenset({"tx.unconfirmed", "tx.replaced", "tx.dropped", "tx.conflicted"})


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """An event as people read it; `lines` are whole sentences or `Name: value`, lists indented by two.

    `path` leads to its incident, or to itself where it has none; `data` is the payload, pretty.
    """

    id: str
    type: str
    title: str
    lines: tuple[str, ...]
    at_ms: int
    treasury: str | None
    incident: str | None
    taken_back: bool
    data: str

    @property
    def path(self) -> str:
        """Where to read on."""
        return f"/incidents/{quote(self.incident, '')}" if self.incident else f"/events/{quote(self.id, '')}"

    @property
    def at(self) -> str:
        """When the watcher knew, RFC 3339."""
        return rfc3339(self.at_ms)


class Teller:
    """Tells events in one language; addresses are left out where the operator wants none shown."""

    def __init__(self, lang: str, rows: Iterable[TreasuryRow], *, hidden: str | None) -> None:
        """`hidden` stands for an address that is not shown; None: they are."""
        self._texts = Texts(lang, {row.name: Named(row.title, row.attribution) for row in rows})
        self._hidden = hidden

    def tell(self, row: EventRow) -> ToldEvent:
        """The event in words."""
        payload = row.payload()
        data = cast("Data", payload["data"])
        if self._hidden is not None:
            data = without_addresses(data, self._hidden)
            payload = {**payload, "data": data}
        message = self._texts.message([json.dumps(payload)], _ROOM)
        treasury, incident = data.get("treasury"), data.get("incident")
        return ToldEvent(
            id=str(data.get("id", "")),
            type=row.type,
            title=message.title,
            lines=tuple(message.body.split("\n")),
            at_ms=row.at_ms,
            treasury=treasury if isinstance(treasury, str) else None,
            incident=incident if isinstance(incident, str) else None,
            taken_back=row.type in _TAKEN_BACK,
            data=json.dumps(payload, indent=2, ensure_ascii=True),
        )
