"""Reads beside the writer: of one moment, bounded in time, and a failure of the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from watcher.ledger.figures import figures
from watcher.ledger.opening import path_in
from watcher.ledger.queries import last_sequence, one_moment
from watcher.ledger.sqlite import WAL_IS_SAFE, driver, open_reader

if TYPE_CHECKING:
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


def test_a_book_too_long_to_be_added_up_in_time_does_not_hold_up_the_balances(ledger: SmallLedger) -> None:
    connection = open_reader(path_in(ledger.state))
    before = figures(connection, None)
    ledger.sql("UPDATE treasuries SET confirmed = 7 WHERE name = 'alpha'")
    ledger.event("tx.seen", "alpha")
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    connection.set_progress_handler(lambda: "sum(moved)" in asked[-1], 1)
    now = figures(connection, before)
    assert any("sum(moved)" in question for question in asked)
    assert (now.treasuries[0].confirmed, now.sequence) == (7, 6)
    assert now.flows == before.flows
    connection.close()


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
