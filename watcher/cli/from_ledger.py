"""Records read from the ledger itself, where no daemon runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watcher.cli.failures import ExitCode, Failure
from watcher.cli.from_daemon import no_treasury
from watcher.cli.records import PAGE, EventsPage, Span, cursor_of_another_log
from watcher.config.digest import config_digest
from watcher.ledger import queries
from watcher.ledger.history import HistoryCursor
from watcher.ledger.history import history as history_page
from watcher.ledger.sqlite import VERSION as SQLITE_VERSION
from watcher.web.history import csv_header, csv_lines, record, within
from watcher.web.views import delivery_view, outbox_view, tip_view, treasury_view

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from watcher.config.settings import Config
    from watcher.ledger.history import HistoryRow


@dataclass(frozen=True, slots=True)
class LedgerRecords:
    """Reads by the page; what only a daemon can know is null."""

    ledger: sqlite3.Connection
    config: Config

    def status(self) -> Mapping[str, Any]:
        """As the daemon would tell it, but that nobody can say what is fresh."""
        return {
            "running": False,
            "network": str(self.config.network),
            "sqlite": SQLITE_VERSION,
            "log": queries.log_id(self.ledger),
            "sequence": queries.last_sequence(self.ledger),
            "state_directory": str(self.config.state_directory.resolve()),
            "config_digest": config_digest(self.config),
            "ready": False,
            "unready_reasons": ["no daemon runs"],
            "fresh": False,
            "tip": tip_view(queries.tip(self.ledger)),
            "treasuries": [treasury_view(row, None, None) for row in queries.treasuries(self.ledger)],
            "sources": [],
            "outbox": outbox_view(
                queries.outbox_counts(self.ledger), [endpoint.name for endpoint in self.config.endpoints]
            ),
        }

    def events(self, after: str | None) -> EventsPage:
        """A page; a cursor of another log does not hold, one beyond the end is a mistake."""
        log = queries.log_id(self.ledger)
        theirs, _, number = (after or f"{log}:0").partition(":")
        sequence = int(number)
        if theirs != log:
            raise Failure(ExitCode.DOES_NOT_HOLD, cursor_of_another_log(log))
        if sequence > queries.last_sequence(self.ledger):
            raise Failure(ExitCode.USAGE, "--after: the cursor is beyond the end of the log")
        rows = queries.events_after(self.ledger, sequence, PAGE)
        end = rows[-1].sequence if rows else sequence
        return EventsPage([row.payload() for row in rows], f"{log}:{end}")

    def history(self, treasury: str, span: Span) -> Iterator[Mapping[str, Any]]:
        """Every row."""
        return (record(row) for row in self._rows(treasury, span))

    def history_csv(self, treasury: str, span: Span) -> Iterator[str]:
        """Line by line."""
        rows = self._rows(treasury, span)
        yield csv_header()
        for row in rows:
            yield csv_lines([row])

    def deliveries(self, state: str | None) -> Iterator[Mapping[str, Any]]:
        """Page by page, all of them."""
        before = None
        while rows := queries.deliveries(self.ledger, limit=PAGE, state=state, before=before):
            yield from map(delivery_view, rows)
            before = rows[-1].id

    def _rows(self, treasury: str, span: Span) -> Iterator[HistoryRow]:
        names = [row.name for row in queries.treasuries(self.ledger)]
        if treasury not in names:
            raise no_treasury(treasury, names)
        return filter(within(span.since, span.until), self._pages(treasury))

    def _pages(self, treasury: str) -> Iterator[HistoryRow]:
        cursor: HistoryCursor | None = HistoryCursor()
        while cursor is not None:
            page = history_page(self.ledger, treasury, cursor, PAGE)
            yield from page.rows
            cursor = page.after
