"""What a treasury held on a day, and claims of that day judged by it, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.web.small_ledger import SmallLedger
from watcher.app.balances import judge_balances
from watcher.app.claims import judge_claims, tell_claims
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.config.load import load_config
from watcher.core.claims import Holds, Mismatched, NotJudged, Totals
from watcher.core.known import Terms
from watcher.core.rules import Policy
from watcher.ledger.commit import Settings
from watcher.ledger.totals import Window, confirmed_totals, totals_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watcher.config.settings import Config

DAY = datetime(2026, 7, 18, tzinfo=UTC)
ADDRESS = encode_address(b"\x00\x14" + bytes(20), Network.REGTEST)


class Ledger(SmallLedger):
    """Treasury `alpha`, read in full; its movements are given with their hour of the day in question."""

    def moves(self, *movements: tuple[float, int], confirmed: int | None = None) -> None:
        for height, (hour, sats) in enumerate(movements, 1):
            self.tx("alpha", f"{height:02x}", (height, 0), "inflow", sats)
            self.block(height, hour)
        total = sum(sats for _, sats in movements) if confirmed is None else confirmed
        self.treasury("alpha", confirmed=total, pending=0, baselined=True)
        self.scripts("alpha", 1, read=1)

    def block(self, height: int, hour: float) -> None:
        time = int((DAY + timedelta(hours=hour)).timestamp())
        self.sql("UPDATE transactions SET block_time = ? WHERE block_height = ?", time, height)
        header = bytes(68) + time.to_bytes(4, "little") + bytes(8)
        self.sql("INSERT OR REPLACE INTO headers VALUES (?, ?)", height, header)

    def begin(self) -> None:
        """A treasury that is read and empty."""
        self.treasury("alpha", confirmed=0, pending=0, baselined=True)
        self.scripts("alpha", 1, read=1)

    def totals(self) -> Totals | None:
        start = int(DAY.timestamp())
        return totals_of(self.connection, "alpha", Window(start, start + 86_400))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path)
    # a treasury is written after what is in its book
    found.connection.execute("PRAGMA foreign_keys = OFF")
    yield found
    found.connection.close()


@pytest.mark.parametrize(
    ("movements", "totals"),
    [
        ([(-5, 6240)], (6240, 6240)),
        ([(-5, 6240), (30, 100)], (6240, 6240)),
        ([(-5, 6240), (3, -240), (9, 500), (30, 1)], (6000, 6500)),
        ([(1, 6240)], (0, 6240)),  # the first coin came on that day
        # a miner's clock was behind: order is the chain's, and a day is of block times
        ([(-5, 100), (2, 10), (-1, 1000), (4, -1000)], (100, 110)),
        ([(-5, 100), (25, 10), (23, 1000)], (100, 1110)),
        ([(-5, 100), (24, 10)], (100, 100)),
        ([(-5, 100), (0, 10)], (100, 110)),
    ],
)
def test_the_lowest_and_highest_total_of_a_day(
    ledger: Ledger, movements: list[tuple[float, int]], totals: tuple[int, int]
) -> None:
    ledger.moves(*movements)
    assert ledger.totals() == Totals(*totals)


def test_a_block_counts_as_a_whole(ledger: Ledger) -> None:
    """What leaves and comes back within one block was never gone."""
    ledger.moves((-5, 100))
    ledger.tx("alpha", "aa", (2, 0), "outflow", -100)
    ledger.tx("alpha", "ab", (2, 1), "inflow", 100)
    ledger.block(2, 3)
    assert ledger.totals() == Totals(100, 100)


def test_a_day_before_the_record_is_unknown_and_so_is_one_with_coins_nothing_explains(ledger: Ledger) -> None:
    ledger.moves((30, 6240))
    assert ledger.totals() is None
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + 1")
    ledger.block(1, -5)
    assert ledger.totals() is None


def test_a_treasury_never_used_held_nothing_from_its_first_reading_on(ledger: Ledger) -> None:
    ledger.moves()
    ledger.block(7, -1)
    ledger.sql("UPDATE watches SET anchor_height = 7")
    assert ledger.totals() == Totals(0, 0)
    ledger.block(7, 24)
    assert ledger.totals() is None


def walked(ledger: Ledger) -> Totals | None:
    """The totals of the day by the rule's own words: along the whole book, block by block."""
    rows = ledger.connection.execute(
        """SELECT t.block_time AS time, sum(e.amount) AS sats
           FROM entries e JOIN transactions t ON t.id = e.tx
           GROUP BY t.block_height ORDER BY t.block_height"""
    ).fetchall()
    start = int(DAY.timestamp())
    if rows[0]["time"] >= start + 86_400:
        return None
    held = list(accumulate((row["sats"] for row in rows), initial=0))
    began = next((n for n, row in enumerate(rows) if row["time"] >= start), len(rows))
    of_day = [held[n + 1] for n, row in enumerate(rows) if start <= row["time"] < start + 86_400]
    return Totals(min(held[began], *of_day, held[began]), max(held[began], *of_day, held[began]))


@pytest.mark.parametrize("seed", range(20))
def test_the_totals_of_a_day_are_those_of_a_walk_along_the_whole_book(ledger: Ledger, seed: int) -> None:
    """Over weeks, with blocks of no transaction and miners' clocks that are hours behind and ahead."""
    rng = Random(seed)
    ledger.begin()
    hour = rng.uniform(-600, 20)
    for height in range(800_000, 800_000 + rng.randrange(1, 1_200)):
        hour += rng.expovariate(2)
        if rng.random() < 0.3:
            ledger.tx(
                "alpha", f"{height:064x}"[-2:] + f"{height:x}", (height, 0), "inflow", rng.randrange(-9, 99)
            )
        ledger.block(height, hour + rng.uniform(-1.5, 1.5))
    ledger.tx("alpha", "last", (900_000, 0), "inflow", 1)
    ledger.block(900_000, max(hour, 30) + 2)
    total = ledger.connection.execute("SELECT sum(amount) FROM entries").fetchone()[0]
    ledger.sql("UPDATE treasuries SET confirmed = ?", total)
    assert ledger.totals() == walked(ledger)


def test_the_totals_of_a_day_cost_what_is_around_it_and_not_the_book(ledger: Ledger) -> None:
    taken: list[int] = []

    def tick() -> None:
        taken.append(1)

    ledger.begin()
    ledger.tx("alpha", "first", (500_000 - 144 * 12, 0), "inflow", 1)
    costs: list[int] = []
    first = 0
    for each_day in (10, 200):
        ledger.sql("BEGIN")
        # nine days well before the one in question, and nine well after it
        for day in (*range(-11, -2), *range(3, 12)):
            for n in range(first, each_day):
                ledger.tx("alpha", f"{day} {n}", (500_000 + 144 * day, n), "inflow", 1)
        for day in range(-12, 13):
            ledger.block(500_000 + 144 * day, 24 * day)
        ledger.sql("UPDATE treasuries SET confirmed = ?", 1 + 18 * each_day)
        ledger.sql("COMMIT")
        first = each_day
        ledger.connection.set_progress_handler(tick, 10)
        taken.clear()
        assert ledger.totals() == Totals(1 + 9 * each_day, 1 + 9 * each_day)
        costs.append(len(taken))
        ledger.connection.set_progress_handler(None, 0)
    assert costs[1] < 1.5 * costs[0] + 10, costs


def config(
    folder: Path,
    btc: str = "0.00006240",
    says: str = "at_least",
    as_of: str = "2026-07-18",
    extra: str = "",
) -> Config:
    file = folder / "watcher.toml"
    file.write_text(
        f"""network = "regtest"
state_directory = "."
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:1"
[[treasuries]]
name = "alpha"
[[treasuries.watch]]
address = "{ADDRESS}"
[[treasuries.claims]]
id = "press"
says = "{says}"
btc = "{btc}"
as_of = {as_of}
[[treasuries]]
name = "unseen"
[[treasuries.claims]]
id = "press"
says = "at_least"
btc = "1"
as_of = {as_of}
{extra}"""
    )
    return load_config(file, environ={})


LIMIT = """
[[rules]]
name = "low"
on = ["balance_below"]
treasuries = ["alpha"]
btc = "0.00001"
send_to = ["ops"]
[[endpoints]]
name = "ops"
kind = "webhook"
url = "https://hooks.example/"
secret_file = "ops.secret"
"""


def judged(ledger: Ledger, config: Config, hour: float) -> tuple[object, int | None]:
    """The verdict on alpha's claim at an hour after the day's beginning, and what it was judged by."""
    at_ms = int((DAY + timedelta(hours=hour)).timestamp()) * 1000
    alpha, unseen = judge_claims(ledger.connection, config, at_ms)
    assert isinstance(unseen.verdict, NotJudged)
    return alpha.verdict, alpha.observed


def test_a_day_is_judged_when_it_is_over_and_stays_judged(ledger: Ledger, tmp_path: Path) -> None:
    ledger.moves((-5, 6000), (3, 100))
    claimed = config(tmp_path)
    # the day goes on and may still bear the claim out
    assert isinstance(judged(ledger, claimed, 4)[0], NotJudged)
    # the clock says that it is over, our chain does not yet
    assert isinstance(judged(ledger, claimed, 40)[0], NotJudged)
    ledger.block(3, 24.1)
    # the chain says so; a block of a slow clock may still come
    assert isinstance(judged(ledger, claimed, 25)[0], NotJudged)
    assert judged(ledger, claimed, 27) == (Mismatched(), 6100)
    # coins found later, of that day or another, change nothing of it
    ledger.tx("alpha", "bb", (1, 1), "inflow", 1000)
    ledger.block(1, -5)
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + 1000")
    assert judged(ledger, claimed, 100) == (Mismatched(), 6100)
    # another claim is another matter
    assert judged(ledger, config(tmp_path, "0.00006000"), 100) == (Holds(), 6000)
    assert isinstance(judged(ledger, config(tmp_path, as_of="2026-07-16"), 100)[0], NotJudged)


def test_a_chain_whose_past_median_is_beyond_the_day_ends_it_whatever_the_clock_says(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.moves((-5, 6000))
    for height in range(2, 13):
        ledger.block(height, 24 + height / 10)
    assert judged(ledger, config(tmp_path), -1000) == (Mismatched(), 6000)


def test_a_claim_borne_out_on_its_day_is_not_refuted_later(ledger: Ledger, tmp_path: Path) -> None:
    ledger.moves((3, 6240))
    claimed = config(tmp_path, says="exactly")
    assert judged(ledger, claimed, 4) == (Holds(), 6240)
    ledger.tx("alpha", "cc", (2, 0), "outflow", -240)
    ledger.block(2, 24.1)
    ledger.sql("UPDATE treasuries SET confirmed = 6000")
    assert judged(ledger, claimed, 100) == (Holds(), 6240)
    # one that says something else is judged by the whole day
    assert judged(ledger, config(tmp_path, "0.00007000", "exactly"), 100) == (Mismatched(), 6240)


def test_before_a_complete_reading_nothing_is_judged(ledger: Ledger, tmp_path: Path) -> None:
    ledger.moves((-5, 6000), (25, 1))
    ledger.sql("UPDATE treasuries SET baselined_ms = NULL")
    assert judged(ledger, config(tmp_path), 100)[1] is None


def test_of_a_list_that_was_exchanged_and_not_yet_read_nothing_is_judged(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.moves((-5, 6240))
    claimed = config(tmp_path, extra=LIMIT)
    settings = Settings(Terms(Network.REGTEST, ledger.log, 6, 0), Policy((), 6, {}), "")
    ledger.sql("UPDATE watches SET removed_ms = 1")
    ledger.sql("UPDATE treasuries SET confirmed = 0")
    ledger.sql("INSERT INTO watches (treasury, script) SELECT treasury, script FROM watches")
    assert confirmed_totals(ledger.connection) == {}
    assert isinstance(judged(ledger, claimed, 40)[0], NotJudged)
    assert list(judge_balances(ledger.connection, claimed, settings, 0)) == []
    # what is read of it is a balance; so is that of a treasury which has lost its whole list
    ledger.sql("UPDATE watches SET baselined = 1")
    assert confirmed_totals(ledger.connection) == {"alpha": 0}
    ledger.sql("UPDATE watches SET removed_ms = 1")
    assert confirmed_totals(ledger.connection) == {"alpha": 0}


def test_what_was_told_of_a_claim_stands_while_an_exchanged_list_is_unread(
    ledger: Ledger, tmp_path: Path
) -> None:
    settings = Settings(Terms(Network.REGTEST, ledger.log, 6, 0), Policy((), 6, {}), "")
    claimed = config(tmp_path, as_of="2026-07-18\nstanding = true")

    def told(at_hour: int) -> list[str]:
        at_ms = int((DAY + timedelta(hours=at_hour)).timestamp()) * 1000
        states = list(judge_claims(ledger.connection, claimed, at_ms))
        committed = tell_claims(ledger.connection, settings, states, at_ms)
        return [event.type for one in committed for event in one.events]

    ledger.moves((-5, 6240), confirmed=6000)
    begun = told(40)
    ledger.sql("UPDATE watches SET removed_ms = 1")
    ledger.sql("INSERT INTO watches (treasury, script) SELECT treasury, script FROM watches")
    assert told(41) == []
    ledger.sql("UPDATE watches SET baselined = 1")
    assert told(42) == []
    ledger.sql("UPDATE treasuries SET confirmed = 6240")
    assert (begun, told(43)) == (["claim.mismatched"], ["claim.matched"])
