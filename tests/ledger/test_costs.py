"""What the bench found, held by counts: what an event costs the ledger, and what a long list must not add."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.ledger_writes import Opened, inflows, opened
from watcher.ledger.commit import commit
from watcher.ledger.sqlite import driver

if TYPE_CHECKING:
    from pathlib import Path


async def statements(ledger: Opened, first: int, events: int) -> list[str]:
    """What one commit with so many events has SQLite carry out, rows that are written one by one each."""
    found: list[str] = []
    seen = inflows(ledger.watched[first : first + events], first, ledger.tip)
    ledger.connection.set_trace_callback(found.append)
    told = await ledger.writer.run(partial(commit, settings=ledger.settings, seen=seen))
    ledger.connection.set_trace_callback(None)
    assert len(told.events) == events
    return found


async def test_an_event_more_costs_the_rows_it_leaves_and_no_question_more(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "state", 200)
    await statements(ledger, 0, 10)  # from here on something is unsettled
    few = await statements(ledger, 10, 10)
    many = await statements(ledger, 20, 110)
    await ledger.writer.close()
    # a transaction, its coin, its spend, its touch, its entry, its script's status, the event, the delivery,
    # and what the entry's trigger adds to its sum: told of as the trigger and as its statement
    assert (len(many) - len(few)) / 100 == 8 + 2
    assert sum(one.lstrip().startswith("SELECT") for one in many) == sum(
        one.lstrip().startswith("SELECT") for one in few
    )


def test_nothing_is_searched_for_what_a_parameter_is_to_become() -> None:
    for value in (True, b"raw", None):
        assert driver.adapt(value) is value  # raises where a search for it has found nothing


async def test_what_takes_nothing_back_does_not_ask_who_was_told(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "state", 2)
    await statements(ledger, 0, 1)
    questions = [one for one in await statements(ledger, 1, 1) if one.lstrip().startswith("SELECT")]
    await ledger.writer.close()
    assert len(questions) == len(set(questions)) <= 16
    assert not [one for one in questions if "deliveries" in one]


async def test_a_commit_is_one_transaction_and_asks_no_more_with_a_longer_list_and_log(
    tmp_path: Path,
) -> None:
    short, long = await opened(tmp_path / "short", 20), await opened(tmp_path / "long", 2_000)
    for at in range(0, 1_000, 100):
        await statements(long, at, 100)
    await statements(short, 0, 1)
    one, other = await statements(short, 1, 1), await statements(long, 1_500, 1)
    await short.writer.close()
    await long.writer.close()
    assert len(one) == len(other) <= 30
    assert [s for s in other if s.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]
