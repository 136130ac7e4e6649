"""Claims, conditions, single addresses, the price and the last backup, as they are scraped."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.web.small_ledger import NOON_MS
from tests.web.test_metrics_page import scrape
from watcher.core.claims import Claim, ClaimState, Covers, Says, Totals, judge
from watcher.core.fiat import Rate
from watcher.ledger.addresses import MOST, AddressKey, address_balances
from watcher.ledger.figures import ConditionLabels, figures

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

BTC = 100_000_000


def state(name: str, totals: Totals | None, *, by: str | None = "A paper", role: str = "press") -> ClaimState:
    claim = Claim(
        id=name,
        says=Says.AT_LEAST,
        sats=6240 * BTC,
        tolerance_sats=None,
        as_of=date(2025, 7, 18),
        standing=False,
        covers=Covers.PUBLISHED,
        role=role,
        by=by,
        quote=None,
        source=None,
        archived=None,
        read=None,
    )
    return ClaimState("alpha", claim, totals, judge(claim, totals, has_addresses=True))


async def test_claims_of_one_day_stand_side_by_side(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    daemon.changes["claims"] = (
        state("one", Totals(6000 * BTC, 6100 * BTC)),
        state("two", Totals(6000 * BTC, 7000 * BTC)),
        state("three", None, by=None),
    )
    async with serve() as bound, http.get(f"{bound.url}/metrics") as response:
        lines = (await response.text()).splitlines()
        found = await scrape(http, bound.url)
    samples = [line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")]
    assert len(samples) == len(set(samples))
    names = {name: value for name, value in found.items() if name.startswith("watcher_treasury_claim_")}
    assert names == {
        **{
            f"watcher_treasury_claim_info{{as_of=2025-07-18,by={by},claim={name},role=press,says=at_least,"
            "treasury=alpha}": 1
            for name, by in (("one", "A paper"), ("two", "A paper"), ("three", ""))
        },
        **{
            f"watcher_treasury_claim_satoshis{{claim={name},treasury=alpha}}": 6240 * BTC
            for name in ("one", "two", "three")
        },
        "watcher_treasury_claim_observed_satoshis{claim=one,treasury=alpha}": 6100 * BTC,
        "watcher_treasury_claim_observed_satoshis{claim=two,treasury=alpha}": 6240 * BTC,
        "watcher_treasury_claim_holds{claim=one,treasury=alpha}": 0,
        "watcher_treasury_claim_holds{claim=two,treasury=alpha}": 1,
    }


async def test_conditions_are_one_while_they_hold_and_else_zero(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, ledger: SmallLedger
) -> None:
    daemon.changes["conditions"] = frozenset(
        {ConditionLabels("stale", "alpha"), ConditionLabels("source", ""), ConditionLabels("stale", "beta")}
    )
    for kind, subject, treasury in (
        ("stale", "beta", "beta"),
        ("source", "home", None),
        ("source", "away", None),
        ("balance_below", "low/alpha", "alpha"),
    ):
        ledger.sql(
            "INSERT INTO conditions VALUES (?, ?, 0, 'inc', ?)", kind, subject, ledger.event("x", treasury)
        )
    async with serve() as bound:
        found = await scrape(http, bound.url)
    assert {n: v for n, v in found.items() if n.startswith("watcher_condition_active")} == {
        "watcher_condition_active{condition=stale,treasury=alpha}": 0,
        "watcher_condition_active{condition=stale,treasury=beta}": 1,
        "watcher_condition_active{condition=source,treasury=}": 1,
        "watcher_condition_active{condition=balance_below,treasury=alpha}": 1,
    }
    assert ConditionLabels("source", "") in figures(ledger.connection, None).conditions


async def test_price_and_backup_have_their_times_or_no_series(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    async with serve() as bound:
        found = await scrape(http, bound.url)
    never = ("watcher_bitcoin_price", "watcher_backup_last", "watcher_address_balance")
    assert not [name for name in found if name.startswith(never)]
    daemon.changes |= {"price": Rate("USD", Decimal("90244.5"), NOON_MS - 7_200_000), "backup_ms": NOON_MS}
    async with serve() as bound:
        found = await scrape(http, bound.url)
    assert found["watcher_bitcoin_price{currency=USD}"] == 90244.5
    assert found["watcher_bitcoin_price_timestamp_seconds{currency=USD}"] == NOON_MS / 1000 - 7200
    assert found["watcher_backup_last_success_timestamp_seconds{}"] == NOON_MS / 1000


async def test_addresses_are_labels_where_they_may_be(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, ledger: SmallLedger
) -> None:
    ledger.sql("UPDATE watches SET address = 'bcrt1q' || id")
    # an inflow and a move between two addresses, both confirmed, and one that is not
    for script, txid, received, spent in (
        (1, "a2", 20_001_000, 0),
        (1, "a3", 0, 7_000),
        (2, "a3", 6_000, 0),
        (1, "a4", 0, 20_000_000),
    ):
        ledger.sql(
            "INSERT INTO touches SELECT ?, id, ?, ? FROM transactions WHERE txid = ?",
            *(script, received, spent, txid * 32),
        )
    daemon.changes["addresses"] = address_balances(ledger.connection, None)
    async with serve() as bound:
        found = await scrape(http, bound.url)
    # those of the treasury that is still being read are unknown, not zero
    assert {n: v for n, v in found.items() if n.startswith("watcher_address")} == {
        "watcher_address_balance_satoshis{address=bcrt1q1,treasury=alpha}": 19_994_000,
        "watcher_address_balance_satoshis{address=bcrt1q2,treasury=alpha}": 6_000,
        "watcher_address_balances_omitted{}": 0,
    }


def test_the_first_thousand_addresses_are_told_and_the_rest_is_counted(ledger: SmallLedger) -> None:
    ledger.treasury("large", confirmed=0, pending=0, baselined=True)
    ledger.scripts("large", MOST + 5, read=MOST + 5)
    ledger.sql("UPDATE watches SET address = 'bcrt1q' || id WHERE treasury = 'large'")
    found = address_balances(ledger.connection, None)
    assert (len(found.sats), found.omitted) == (MOST, 5)
    first = ledger.connection.execute("SELECT min(id) FROM watches WHERE treasury = 'large'").fetchone()[0]
    assert AddressKey("large", f"bcrt1q{first}") in found.sats
    assert address_balances(ledger.connection, found) is found
    ledger.event("tx.seen", "large")
    assert address_balances(ledger.connection, found) == address_balances(ledger.connection, None)


def test_what_an_address_holds_costs_what_it_was_paid_and_not_the_whole_book(ledger: SmallLedger) -> None:
    ledger.sql("UPDATE watches SET address = 'bcrt1q' || id")

    def steps() -> int:
        """How much SQLite does for it, in hundreds of instructions."""
        done: list[None] = []
        ledger.connection.set_progress_handler(lambda: done.append(None), 100)
        address_balances(ledger.connection, None)
        ledger.connection.set_progress_handler(None, 100)
        return len(done)

    before = steps()
    for n in range(1_000):  # none of them pays one of the addresses
        ledger.tx("alpha", f"n{n}", (200 + n, 1), "inflow", 1)
    assert steps() <= before + 1
