"""What the web asks of the daemon; `watcher.app` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from aiohttp import web

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from watcher.ledger.bell import Bell
    from watcher.ledger.queries import TreasuryRow
    from watcher.web.page.terms import PageTerms
    from watcher.web.snapshot import Identity, Snapshot, SourceFigure, Stale, Waiting
    from watcher.web.verbs import Verbs

T = TypeVar("T")


class Backend(Protocol):
    """The daemon as its surface sees it."""

    @property
    def identity(self) -> Identity:
        """Which daemon this is."""

    @property
    def page(self) -> PageTerms:
        """What of the config in force the page shows."""

    @property
    def bell(self) -> Bell:
        """Rings when the log has grown."""

    @property
    def verbs(self) -> Verbs:
        """What an operator may ask for."""

    async def snapshot(self) -> Snapshot:
        """The present moment; does not fail because a source or the ledger does."""

    async def unready(self) -> Sequence[str]:
        """Why the daemon is not ready; empty when it is. Upstream does not matter."""

    async def stale(self) -> Sequence[Stale]:
        """The treasuries that are not fresh; empty when all are."""

    async def first_reading(self, treasury: str) -> Sequence[SourceFigure]:
        """Each source's own figure of a treasury that is read for the first time."""

    def waiting(self, treasury: str) -> Sequence[Waiting]:
        """Unconfirmed transactions that too few sources show to be facts."""

    def completed(self, rows: Sequence[TreasuryRow]) -> Sequence[TreasuryRow]:
        """The ledger's rows with the completeness that is known now."""

    def independent(self, sources: Sequence[str]) -> int:
        """How many independent operators these sources are."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns on a connection that cannot write, off the event loop.

        Bounded in time; TimeoutError or SQLite's own error where that was not enough.
        """

    async def reload(self, reason: str | None, by: str | None) -> Sequence[str]:
        """Read the config again; why it was refused, empty when it is in force."""

    async def redeliver(self, delivery: int) -> bool:
        """Make a delivery due now; False where there is none of that id."""

    async def redeliver_since(self, endpoint: str, sequence: int) -> int | None:
        """Make due now all that went to the endpoint from that event on; how many, None: no such endpoint."""


BACKEND: Final[web.AppKey[Backend]] = web.AppKey("backend")
