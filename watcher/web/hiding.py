"""`show_addresses = "nowhere"`: events without addresses, for pages, feeds and whoever comes without a token.

What a token, the control socket or an endpoint's secret opens is the operator's own, and whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from watcher.web.access import LEVEL, Level

if TYPE_CHECKING:
    from aiohttp import web

    from watcher.core.events import Data
    from watcher.ledger.queries import EventRow
    from watcher.web.page.terms import PageTerms

_ADDRESSES: Final = frozenset({"address", "addresses", "to"})
_DROPPED: Final = frozenset({"script_pubkey"})


def hides(request: web.Request, terms: PageTerms) -> bool:
    """Whether this caller is to see no addresses."""
    return not terms.addresses and request.get(LEVEL, Level.ADMIN) < Level.READ


def payload(row: EventRow, *, hide: bool) -> dict[str, Any]:
    """The event as API and stream tell it; where it is to `hide` them, addresses are null."""
    return without_addresses(row.payload(), None) if hide else row.payload()


def without_addresses(data: Data, hidden: str | None) -> dict[str, Any]:
    """The same with `hidden` in the place of every address, and without scripts."""
    return {name: _hidden(name, value, hidden) for name, value in data.items() if name not in _DROPPED}


def _hidden(name: str, value: object, hidden: str | None) -> object:
    match value:
        case str() if name in _ADDRESSES:
            return hidden
        case list() | tuple():
            return [_hidden(name, each, hidden) for each in value]
        case dict():
            return without_addresses(value, hidden)
        case _:
            return value
