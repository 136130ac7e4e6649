"""What commands show, wherever it comes from: the same values as the API's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = 500


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Some events, oldest first, and the cursor behind them."""

    events: Sequence[Mapping[str, Any]]
    next: str


@dataclass(frozen=True, slots=True)
class Span:
    """Block times from `since` to `until`, both included; None is open."""

    since: str | None
    until: str | None


class Records(Protocol):
    """The daemon's word, or the ledger's; what is asked for wrongly is a `Failure`."""

    def status(self) -> Mapping[str, Any]:
        """The whole on one page, as `/api/v1/status` has it, and `running`."""

    def events(self, after: str | None) -> EventsPage:
        """The events behind a cursor, or the first ones."""

    def history(self, treasury: str, span: Span) -> Iterator[Mapping[str, Any]]:
        """Every change of a treasury, by the CSV's columns, oldest first."""

    def history_csv(self, treasury: str, span: Span) -> Iterator[str]:
        """The same as CSV, in pieces, its header first."""

    def deliveries(self, state: str | None) -> Iterator[Mapping[str, Any]]:
        """The outbox, newest first."""


def cursor_of_another_log(log: str) -> str:
    """What to say of a cursor that was made before a restore, or elsewhere."""
    return f"--after: the cursor is of another log; this one is {log}: begin again without --after"
