"""The outbox's rows: lent once, written down together, due again after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from watcher.core.outbox import Accepted, Again, Attempt, Dead, Fate, Refused
from watcher.ledger.outbox import (
    LEASE_MS,
    hasten,
    lease_due,
    record,
    recover,
    redeliver,
    redeliver_since,
)

if TYPE_CHECKING:
    import sqlite3

    from tests.delivery.rig import Ledger

NOW = 1_700_000_000_000


def lend(ledger: Ledger, now_ms: int = NOW, limit: int = 10, endpoint: str = "ops") -> list[int]:
    lease = ledger.transact(lambda connection: lease_due(connection, endpoint, now_ms, limit))
    return [delivery.sequence for delivery in lease.deliveries]


def write(ledger: Ledger, *attempts: Attempt) -> None:
    ledger.transact(lambda connection: record(connection, attempts))


def attempt(delivery: int, fate: Fate, outcome: str = "status_5xx", status: int | None = 500) -> Attempt:
    return Attempt(delivery, at_ms=NOW, took_ms=7, outcome=outcome, status=status, fate=fate)


def test_what_is_due_is_lent_in_the_logs_order_and_once(ledger: Ledger) -> None:
    ledger.owe("ops", 3, at=NOW / 1000)
    ledger.owe("other", 1, at=NOW / 1000)
    ledger.owe("ops", 2, at=NOW / 1000)
    assert lend(ledger, limit=2) == [1, 2]
    assert lend(ledger) == [3, 5, 6]
    assert lend(ledger) == []
    assert lend(ledger, endpoint="other") == [4]


def test_what_is_not_due_yet_is_named_by_its_time(ledger: Ledger) -> None:
    ledger.owe("ops", 1, at=NOW / 1000 + 5)
    lease = ledger.transact(lambda connection: lease_due(connection, "ops", NOW, 10))
    assert lease.deliveries == ()
    assert lease.next_due_ms == NOW + 5_000
    assert lend(ledger, NOW + 4_999) == []
    assert lend(ledger, NOW + 5_000) == [1]


def test_a_lease_that_ran_out_is_due_again(ledger: Ledger) -> None:
    ledger.owe("ops", 1, at=NOW / 1000)
    assert lend(ledger) == [1]
    assert lend(ledger, NOW + LEASE_MS - 1) == []
    assert lend(ledger, NOW + LEASE_MS) == [1]


def test_a_lease_does_not_outlast_a_clock_set_back(ledger: Ledger) -> None:
    ledger.owe("ops", 1, at=NOW / 1000)
    assert lend(ledger, NOW + 86_400_000) == [1]
    assert lend(ledger, NOW) == [1]


@pytest.mark.parametrize(
    ("back_ms", "ends"), [(86_400_000, NOW - 86_400_000 + 60_000), (3_000, NOW + 50_000)]
)
def test_a_pause_does_not_outlast_a_clock_set_back(ledger: Ledger, back_ms: int, ends: int) -> None:
    """It began ten seconds ago, for a minute: it lasts as long once more at most."""
    ledger.owe("ops", 1, at=NOW / 1000 - 86_400)
    ledger.transact(
        lambda c: c.execute("INSERT INTO pauses VALUES ('ops', ?, ?)", (NOW - 10_000, NOW + 50_000))
    )
    ledger.transact(lambda c: hasten(c, NOW - back_ms))
    assert lend(ledger, ends - 1) == []
    assert lend(ledger, ends) == [1]


def test_what_was_lent_when_a_pause_began_is_due_when_it_ends(ledger: Ledger) -> None:
    ledger.owe("ops", 1, at=NOW / 1000)
    assert lend(ledger) == [1]
    ledger.transact(lambda c: c.execute("INSERT INTO pauses VALUES ('ops', ?, ?)", (NOW + 1, NOW + 60_000)))
    assert lend(ledger, NOW + 2) == []
    assert lend(ledger, NOW + 60_000) == [1]


@pytest.mark.parametrize(
    ("later", "endpoint", "incident", "overtaken"),
    [
        ("tx.confirmed", "ops", "inc_1", True),
        ("incident.noted", "ops", "inc_1", False),
        ("tx.confirmed", "other", "inc_1", False),
        ("tx.confirmed", "ops", "inc_2", False),
    ],
)
def test_overtaken_is_what_comes_after_later_news_of_its_incident(
    ledger: Ledger, later: str, endpoint: str, incident: str, *, overtaken: bool
) -> None:
    """Nobody may take an alarm for settled because of a remark on it."""
    ledger.owe("ops", 1, at=NOW / 1000)
    ledger.owe(endpoint, 1, at=NOW / 1000)

    def about(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE events SET type = ? WHERE sequence = 2", (later,))
        for delivery, each in ((1, "inc_1"), (2, incident)):
            connection.execute("UPDATE deliveries SET incident = ? WHERE id = ?", (each, delivery))

    ledger.transact(about)
    write(ledger, attempt(2, Accepted(), "delivered", 204))
    (lent,) = ledger.transact(lambda c: lease_due(c, "ops", NOW, 9)).deliveries
    assert (lent.id, lent.overtaken) == (1, overtaken)
    write(ledger, attempt(1, Accepted(), "delivered", 204))
    ledger.transact(lambda c: redeliver(c, 2, NOW))
    (last,) = ledger.transact(lambda c: lease_due(c, endpoint, NOW, 9)).deliveries
    assert (last.id, last.overtaken) == (2, False)


def test_the_next_process_finds_everything_due_that_the_last_one_had_in_hand(ledger: Ledger) -> None:
    ledger.owe("ops", 2, at=NOW / 1000)
    assert lend(ledger) == [1, 2]
    ledger.transact(recover)
    assert lend(ledger) == [1, 2]


def test_every_attempt_is_kept_with_its_outcome(ledger: Ledger) -> None:
    ledger.owe("ops", 1, at=NOW / 1000)
    write(ledger, attempt(1, Again(NOW + 9), "timeout", None))
    write(ledger, attempt(1, Again(NOW + 99), "status_5xx", 503))
    write(ledger, attempt(1, Accepted(), "delivered", 204))
    assert ledger.rows("SELECT number, at_ms, took_ms, outcome, status FROM attempts") == [
        {"number": 1, "at_ms": NOW, "took_ms": 7, "outcome": "timeout", "status": None},
        {"number": 2, "at_ms": NOW, "took_ms": 7, "outcome": "status_5xx", "status": 503},
        {"number": 3, "at_ms": NOW, "took_ms": 7, "outcome": "delivered", "status": 204},
    ]
    (row,) = ledger.rows("SELECT state, attempts, leased_ms, done_ms, reason FROM deliveries")
    assert row == {"state": "delivered", "attempts": 3, "leased_ms": None, "done_ms": NOW + 7, "reason": None}


def test_a_dead_letter_is_kept_with_its_reason_and_never_lent(ledger: Ledger) -> None:
    ledger.owe("ops", 1, at=NOW / 1000)
    lend(ledger)
    write(ledger, attempt(1, Dead()))
    (row,) = ledger.rows("SELECT state, reason, done_ms, leased_ms FROM deliveries")
    assert row == {"state": "dead", "reason": "status_5xx", "done_ms": NOW + 7, "leased_ms": None}
    assert lend(ledger, NOW + 10 * LEASE_MS) == []


def test_a_410_ends_all_that_waits_for_the_endpoint_and_all_that_comes_and_nothing_else(
    ledger: Ledger,
) -> None:
    ledger.owe("ops", 3, at=NOW / 1000)
    ledger.owe("other", 1, at=NOW / 1000)
    lend(ledger, limit=2)
    write(ledger, attempt(1, Refused(), "gone", 410))
    assert ledger.states("ops") == ["dead", "dead", "dead"]
    assert ledger.states("other") == ["pending"]
    ledger.owe("ops", 1, at=NOW / 1000)
    assert lend(ledger) == []
    assert ledger.states("ops") == ["dead"] * 4
    assert {row["reason"] for row in ledger.rows("SELECT reason FROM deliveries WHERE endpoint = 'ops'")} == {
        "gone"
    }


def test_an_answer_on_its_way_while_a_410_arrived_still_counts(ledger: Ledger) -> None:
    ledger.owe("ops", 3, at=NOW / 1000)
    lend(ledger)
    write(
        ledger,
        attempt(1, Refused(), "gone", 410),
        attempt(2, Accepted(), "delivered", 200),
        attempt(3, Again(NOW + 5_000)),
    )
    assert ledger.rows("SELECT state, reason FROM deliveries ORDER BY id") == [
        {"state": "dead", "reason": "gone"},
        {"state": "delivered", "reason": None},
        {"state": "dead", "reason": "gone"},
    ]
    assert len(ledger.rows("SELECT * FROM attempts")) == 3


def test_redelivery_starts_anew_keeps_the_record_and_opens_a_gone_endpoint(ledger: Ledger) -> None:
    ledger.owe("ops", 2, at=NOW / 1000)
    lend(ledger)
    write(ledger, attempt(1, Refused(), "gone", 410))
    before = ledger.rows("SELECT webhook_id, body FROM deliveries WHERE id = 1")
    assert ledger.transact(lambda connection: redeliver(connection, 1, NOW + 50)) == "ops"
    assert ledger.rows("SELECT webhook_id, body FROM deliveries WHERE id = 1") == before
    assert ledger.states("ops") == ["pending", "dead"]
    lease = ledger.transact(lambda connection: lease_due(connection, "ops", NOW + 50, 10))
    assert [(each.sequence, each.attempts) for each in lease.deliveries] == [(1, 0)]
    write(ledger, attempt(1, Accepted(), "delivered", 200))
    assert [row["number"] for row in ledger.rows("SELECT number FROM attempts ORDER BY number")] == [1, 2]
    assert ledger.transact(lambda connection: redeliver(connection, 99, NOW)) is None


def test_redelivery_since_an_event_takes_all_from_there_on_but_what_is_on_its_way(ledger: Ledger) -> None:
    ledger.owe("ops", 5, at=NOW / 1000)
    ledger.owe("other", 1, at=NOW / 1000)
    assert lend(ledger, limit=4) == [1, 2, 3, 4]
    write(
        ledger,
        attempt(1, Accepted(), "delivered", 200),
        attempt(2, Accepted(), "delivered", 200),
        attempt(3, Dead()),
    )
    assert ledger.transact(lambda connection: redeliver_since(connection, "ops", 2, NOW + 1)) == 3
    assert ledger.states("ops") == ["delivered", "pending", "pending", "pending", "pending"]
    assert sorted(lend(ledger, NOW + 1)) == [2, 3, 5]


def test_lending_from_a_long_queue_reads_only_what_it_lends(ledger: Ledger) -> None:
    ledger.owe("ops", 2_000, at=NOW / 1000)
    plan = ledger.rows(
        "EXPLAIN QUERY PLAN SELECT id FROM deliveries WHERE endpoint = 'ops' AND state = 'pending'"
        " AND due_ms <= 5 AND (leased_ms IS NULL OR leased_ms <= 5 OR leased_ms > 9)"
        " ORDER BY due_ms, id LIMIT 3"
    )
    details = " ".join(row["detail"] for row in plan)
    assert "deliveries_due" in details
    assert "TEMP B-TREE" not in details
