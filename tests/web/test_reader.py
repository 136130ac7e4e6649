"""Reads beside the writer: of one moment, bounded in time, and a failure of the moment."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.web.small_ledger import BLOCK_TIME
from watcher.ledger import course, earlier, pages, unproven
from watcher.ledger.figures import figures
from watcher.ledger.history import HistoryCursor, history
from watcher.ledger.opening import path_in
from watcher.ledger.queries import last_sequence, one_moment
from watcher.ledger.sqlite import WAL_IS_SAFE, driver, open_reader

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


async def test_a_read_that_takes_too_long_is_ended_and_the_next_one_served(daemon: StillDaemon) -> None:
    def work(connection: object) -> None:
        assert isinstance(connection, driver.Connection)
        with one_moment(connection):
            connection.execute(ENDLESS).fetchone()

    with pytest.raises(driver.OperationalError, match="interrupted"):
        await daemon.reader.run(work)
    assert await daemon.reader.run(last_sequence) == 5


# what the daemon is asked of a treasury, and of one moment of it
ASKED: dict[str, Callable[[sqlite3.Connection], object]] = {
    "book": lambda ledger: earlier.book(ledger, "alpha", BLOCK_TIME + 102 * 600),
    "at": lambda ledger: earlier.balance_at(ledger, "alpha", 101),
    "movements": lambda ledger: pages.movements(ledger, "alpha", (2**62, 0, 0), 50),
    "movements at": lambda ledger: pages.movements(ledger, "alpha", (102, 2**62, 0), 50),
    "history": lambda ledger: history(ledger, "alpha", HistoryCursor(), 50),
    "metrics": lambda ledger: figures(ledger, None),
    "extent": lambda ledger: course.extent(ledger, "alpha", 102),
    "day": lambda ledger: earlier.end_of_day(ledger, date(2026, 11, 24)),
    "versions": lambda ledger: pages.list_changes(ledger, "alpha", 50),
    "day's steps": lambda ledger: earlier.steps(ledger, "alpha", 99, 102),
    "unproven": unproven.counts,
    "second pass": lambda ledger: unproven.unproven(ledger, 200, ["alpha"], []),
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_figure_of_a_long_book_costs_what_one_of_a_short_book_does(ledger: SmallLedger, asked: str) -> None:
    connection = open_reader(path_in(ledger.state))
    taken: list[int] = []

    def tick() -> None:
        taken.append(1)

    costs: list[int] = []
    first = 0
    for many in (200, 4_000):
        ledger.sql("BEGIN")
        for n in range(first, many):
            # after the moment asked for, and before it
            ledger.tx("alpha", f"n{n}", (300 + n // 2, n), "inflow", 1)
            ledger.tx("alpha", f"o{n}", (20 + n % 60, n), "inflow", 1, baselined=True)
            ledger.header(1_000 + n)
        ledger.sql("COMMIT")
        first = many
        connection.set_progress_handler(tick, 100)
        taken.clear()
        ASKED[asked](connection)
        costs.append(len(taken))
        connection.set_progress_handler(None, 0)
    connection.close()
    assert costs[1] < 1.5 * costs[0] + 10, costs


async def test_a_read_that_fails_is_to_be_asked_again_later(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    def broken() -> None:
        raise driver.OperationalError("disk I/O error at /somewhere/secret")

    daemon.before_read = broken
    async with serve() as bound:
        async with http.get(f"{bound.url}/api/v1/events") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
            assert "secret" not in await response.text()
        daemon.before_read = lambda: None
        async with http.get(f"{bound.url}/api/v1/events") as response:
            assert response.status == 200


@pytest.mark.skipif(not WAL_IS_SAFE, reason="with a rollback journal the writer waits for the reader")
def test_questions_of_one_moment_do_not_see_what_comes_between(ledger: SmallLedger) -> None:
    path = ledger.connection.execute("PRAGMA database_list").fetchone()["file"]
    connection = open_reader(ledger.state / path)
    with one_moment(connection):
        assert last_sequence(connection) == 5
        ledger.event("tx.seen", "alpha")
        assert last_sequence(connection) == 5
    assert last_sequence(connection) == 6
    connection.close()
