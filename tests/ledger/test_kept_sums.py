"""What the ledger keeps added up is what adding it up says, whatever is changed and in whatever order."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.walks.eye import Eye
from tests.walks.world import World, script
from tests.web.small_ledger import SmallLedger
from watcher.ledger.earlier import balance_at
from watcher.ledger.pages import movements
from watcher.ledger.sums import ADDED_UP, SPAN, above, counted, explained
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

STATES = ("held", "confirmed", "missing", "replaced", "dropped", "conflicted", "left")


def kept(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """The sums, without those that have come to nothing."""
    rows = connection.execute(
        "SELECT treasury, span, flow, transactions, proven, amount, moved FROM sums"
        " WHERE transactions <> 0 OR proven <> 0 OR amount <> 0 OR moved <> 0 ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in rows]


def added_up(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(f"{ADDED_UP} ORDER BY 1, 2, 3")]


@pytest.mark.parametrize("seed", range(5))
def test_the_sums_follow_a_chain_with_all_that_happens_on_it(seed: int) -> None:
    lists = {name: [script(f"{name} {n}") for n in range(3)] for name in ("alpha", "beta")}
    world = World(seed, lists)
    eye = Eye(world, "one")
    for _ in range(60):
        world.step()
        eye.look()
        assert kept(eye.connection) == added_up(eye.connection)
    assert len(kept(eye.connection)) > 3


@pytest.mark.parametrize("seed", range(5))
def test_the_sums_follow_any_change_of_a_row(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    ledger = SmallLedger(tmp_path)
    ledger.treasury("alpha", confirmed=0, pending=0, baselined=True)
    ledger.treasury("beta", confirmed=0, pending=0, baselined=True)
    changes = (
        ("UPDATE entries SET state = ? WHERE tx = ?", lambda: rng.choice(STATES)),
        ("UPDATE entries SET flow = ? WHERE tx = ?", lambda: rng.choice(("inflow", "outflow", "internal"))),
        ("UPDATE entries SET amount = ? WHERE tx = ?", lambda: rng.randrange(-9, 9)),
        ("UPDATE entries SET moved = ? WHERE tx = ?", lambda: rng.randrange(9)),
        ("UPDATE entries SET pending = ? WHERE tx = ?", lambda: rng.randrange(-1, 2)),
        ("UPDATE transactions SET block_height = ? WHERE id = ?", lambda: rng.choice((None, 1, SPAN, 999))),
        ("UPDATE transactions SET trust = ? WHERE id = ?", lambda: rng.choice(("proven", "reported"))),
        ("DELETE FROM entries WHERE treasury = ? AND tx = ?", lambda: rng.choice(("alpha", "beta"))),
    )
    ledger.sql("BEGIN")
    for n in range(200):
        ledger.tx(rng.choice(("alpha", "beta")), f"t{n}", rng.choice((None, (n, 1))), "inflow", n)
        statement, value = rng.choice(changes)
        ledger.sql(statement, value(), rng.randrange(1, n + 2))
        assert kept(ledger.connection) == added_up(ledger.connection), statement
    ledger.connection.close()


def test_a_balance_at_any_block_is_what_its_transactions_add_up_to(tmp_path: Path) -> None:
    rng = Random(1)
    ledger = SmallLedger(tmp_path)
    placed = [(rng.randrange(4 * SPAN), n, rng.randrange(-50, 99)) for n in range(400)]
    ledger.treasury("alpha", confirmed=sum(sats for _, _, sats in placed), pending=0, baselined=True)
    ledger.event("watch.baselined", "alpha", anchor={"height": 0, "hash": "h" * 64})
    ledger.sql("BEGIN")
    for height, n, sats in placed:
        ledger.tx("alpha", f"t{n}", (height, n), "inflow", sats)
    for height in (-1, *range(4 * SPAN + 2), 2**62):
        total = sum(sats for at, _, sats in placed if at <= height)
        assert balance_at(ledger.connection, "alpha", height) == total
        assert above(ledger.connection, "alpha", height) == explained(ledger.connection, "alpha") - total
        for each in movements(ledger.connection, "alpha", (height, 200, 0), 3):
            assert each.balance == sum(sats for *at, sats in placed if tuple(at) <= each.place[:2])
    assert counted(ledger.connection, "alpha") == (400, 400)
    ledger.connection.close()


def test_a_sum_that_is_not_that_of_its_entries_is_found() -> None:
    world = World(1, {"alpha": [script("alpha")]})
    eye = Eye(world, "one")
    for _ in range(20):
        world.step()
    eye.look()
    assert verify(eye.connection).failures == []
    for wrong in ("UPDATE sums SET proven = proven + 1", "DELETE FROM sums"):
        eye.connection.execute(wrong)
        assert any("span 0 of its book" in failure for failure in verify(eye.connection).failures)
