"""`at=`: what a balance was at the end of a block or of a UTC day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.reading import page
from tests.web.small_ledger import BLOCK_TIME, NOON_MS
from watcher.ledger.earlier import end_of_day

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

DAY = date(2026, 11, 24)  # of all blocks of the small ledger


def header(seconds: int) -> bytes:
    return bytes(68) + seconds.to_bytes(4, "little") + bytes(8)


@pytest.fixture
def later(ledger: SmallLedger) -> SmallLedger:
    """The day is over: block 103 lies behind it, and 104 in it again by its miner's clock."""
    ledger.sql("INSERT INTO headers VALUES (103, ?)", header(NOON_MS // 1000 + 43_200))
    ledger.sql("INSERT INTO headers VALUES (104, ?)", header(NOON_MS // 1000 + 43_100))
    ledger.sql("UPDATE treasuries SET complete_height = 104 WHERE name = 'alpha'")
    ledger.tx("alpha", "a6", (104, 1), "inflow", 5)
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + 5 WHERE name = 'alpha'")
    return ledger


async def told(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    async with http.get(url) as response:
        return response.status, await response.json(content_type=None)


async def test_an_earlier_moment_stays_the_same_byte_by_byte(
    serve: Open, http: aiohttp.ClientSession, later: SmallLedger
) -> None:
    alpha = "/treasuries/alpha"
    async with serve() as bound:

        async def answers() -> list[tuple[str, bytes]]:
            found = []
            for path in (alpha, f"{alpha}/chart.svg", f"/api/v1{alpha}", f"/api/v1{alpha}/history"):
                async with http.get(f"{bound.url}{path}?at=101") as response:
                    found.append((path, await response.read()))
            return found

        before = await answers()
        later.tx("alpha", "a7", (104, 2), "inflow", 7)
        later.sql("UPDATE treasuries SET confirmed = confirmed + 7 WHERE name = 'alpha'")
        later.event("tx.confirmed", "alpha", flow="inflow")
        assert await answers() == before


@pytest.mark.parametrize(
    ("at", "balance"),
    [
        ("100", 500_000_000),
        ("101", 520_001_000),
        ("102", 520_000_000),
        ("104", 520_000_005),
        # before the first reading, and something was there that nothing explains
        ("99", None),
        ("0", None),
        ("2026-11-24", 520_000_000),
        ("2026-11-23", None),
    ],
)
async def test_api_and_page_say_the_same_of_an_earlier_moment(
    serve: Open, http: aiohttp.ClientSession, later: SmallLedger, at: str, balance: int | None
) -> None:
    async with serve() as bound:
        status, one = await told(http, f"{bound.url}/api/v1/treasuries/alpha?at={at}")
        _, every = await told(http, f"{bound.url}/api/v1/treasuries?at={at}")
        _, rows = await told(http, f"{bound.url}/api/v1/treasuries/alpha/history?at={at}")
        shown = await page(http, f"{bound.url}/treasuries/alpha?at={at}")
        async with http.get(f"{bound.url}/treasuries/alpha/chart.svg?at={at}") as chart:
            assert chart.status == 200
    assert status == 200
    assert one["balance_sats"] == (None if balance is None else {"confirmed": balance})
    assert one in every["treasuries"]
    assert all(row["height"] <= one["at"]["height"] for row in rows["rows"])
    if balance is None:
        assert "unknown" in shown.text("section", class_="card")[0]
    else:
        assert rows["rows"][-1]["balance_sats"] == balance
        assert f"{balance // 10**8}.{balance % 10**8:08d} BTC" in shown.text("section", class_="card")[0]
    assert "2.00000000 BTC not in a block" not in shown.source
    # an earlier moment does not follow the log
    assert "data-stream" not in shown.source


async def test_what_comes_later_does_not_change_an_earlier_moment(
    serve: Open, http: aiohttp.ClientSession, later: SmallLedger
) -> None:
    async with serve() as bound:
        before = [await told(http, f"{bound.url}/api/v1/treasuries/alpha?at={at}") for at in ("102", DAY)]
        seen = await page(http, f"{bound.url}/treasuries/alpha?at={DAY}")
        later.sql("INSERT INTO headers VALUES (105, ?)", header(NOON_MS // 1000 + 90_000))
        later.tx("alpha", "a7", (105, 1), "outflow", -7)
        later.sql("UPDATE treasuries SET confirmed = confirmed - 7, complete_height = 105")
        later.event("tx.confirmed", "alpha", delta=(-7, 0), flow="outflow")
        after = [await told(http, f"{bound.url}/api/v1/treasuries/alpha?at={at}") for at in ("102", DAY)]
        again = await page(http, f"{bound.url}/treasuries/alpha?at={DAY}")
    assert before == after
    assert seen.text("section", class_="card") == again.text("section", class_="card")


async def test_a_chart_within_one_day_says_the_hours(
    serve: Open, http: aiohttp.ClientSession, later: SmallLedger
) -> None:
    async with serve() as bound:
        for at, ends in (
            ("102", ["2026-11-24 22:40", "2026-11-24 23:00"]),
            ("103", ["2026-11-24", "2026-11-25"]),
        ):
            chart = await page(http, f"{bound.url}/treasuries/alpha/chart.svg?at={at}")
            assert chart.text("text")[2:4] == ends


async def test_the_pages_of_a_past_history_end_at_its_moment_whatever_is_behind_it(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    history = "/api/v1/treasuries/alpha/history?at=102"
    async with serve() as bound:

        async def pages(limit: int) -> list[dict[str, Any]]:
            found, after = [], ""
            while after is not None:
                _, told_ = await told(
                    http, f"{bound.url}{history}&limit={limit}{after and f'&after={after}'}"
                )
                found.append(told_)
                after = told_["next"]
            return found

        before = [await pages(limit) for limit in (1, 2, 3, 4, 100)]
        ledger.sql("UPDATE entries SET state = 'dropped' WHERE state = 'held'")
        assert [await pages(limit) for limit in (1, 2, 3, 4, 100)] == before
        ledger.header(103)
        ledger.tx("alpha", "a6", (103, 1), "inflow", 5)
        ledger.sql("UPDATE treasuries SET confirmed = confirmed + 5, complete_height = 103")
        assert [await pages(limit) for limit in (1, 2, 3, 4, 100)] == before
    assert [[len(each["rows"]) for each in found] for found in before] == [[1] * 4, [2, 2], [3, 1], [4], [4]]


@pytest.mark.parametrize("at", ["103", "999999999", "2026-11-24", "2030-01-01"])
async def test_a_moment_that_is_not_read_yet_is_not_guessed(
    serve: Open, http: aiohttp.ClientSession, at: str
) -> None:
    async with serve() as bound:
        for path in ("/api/v1/treasuries/alpha", "/api/v1/treasuries", "/treasuries/alpha"):
            status, problem = await told(http, f"{bound.url}{path}?at={at}")
            assert (status, problem["type"]) == (404, "not-yet")


@pytest.mark.parametrize(
    "at", ["", "-1", "1e3", "yesterday", "2026-02-30", "2026-1-1", "10000000000", "\uff11"]
)
async def test_a_moment_that_cannot_be_meant_is_refused(
    serve: Open, http: aiohttp.ClientSession, at: str
) -> None:
    async with serve() as bound:
        for path in ("/api/v1/treasuries/alpha", "/treasuries/alpha", "/treasuries/alpha/chart.svg"):
            status, _ = await told(http, f"{bound.url}{path}?at={at}")
            assert status == 400


def test_the_end_of_a_day_is_found_among_many_headers(ledger: SmallLedger) -> None:
    """Against the plain reading of the rule, with gaps in the heights and clocks that run backwards."""
    ledger.sql("DELETE FROM headers")
    start = NOON_MS // 1000
    times = {}
    for n in range(3_000):
        height = 1_000 + n + (500 if n > 700 else 0)
        times[height] = start + n * 600 + (n * 7919 % 5_000) - 2_500
    for height, seconds in times.items():
        ledger.sql("INSERT INTO headers VALUES (?, ?)", height, header(seconds))
    for days in range(-2, 25):
        day = DAY + timedelta(days=days)
        end = (day - date(1970, 1, 1)).days * 86_400 + 86_400
        behind = [height for height, seconds in times.items() if seconds >= end]
        assert end_of_day(ledger.connection, day) == (min(behind) - 1 if behind else None)


async def test_the_chart_of_a_long_past_is_read_in_parts_and_goes_to_its_end(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    """A row a block, 120,000 of them: more than one read gives."""
    blocks = 120_000
    ledger.sql("BEGIN")
    ledger.connection.executemany(
        "INSERT INTO transactions (txid, raw, block_height, block_hash, block_index, block_time, trust,"
        " sources, first_seen_ms) VALUES (?, x'00', ?, ?, 1, ?, 'proven', '[]', 0)",
        ((f"{n + 1:064x}", 1_000 + n, "0" * 64, BLOCK_TIME + 600_000 + n * 600) for n in range(blocks)),
    )
    ledger.sql(
        "INSERT INTO entries SELECT 'alpha', id, 'confirmed', iif(id % 3, 'inflow', 'outflow'),"
        " iif(id % 3, 2, -1), 1, NULL, 0, iif(id % 3, 2, -1), 0, 0, 1, 0, 'inc_x', NULL, NULL, NULL, NULL"
        " FROM transactions WHERE block_height >= 1000"
    )
    ledger.sql(
        "UPDATE treasuries SET confirmed = confirmed + ?, complete_height = ? WHERE name = 'alpha'",
        *(blocks, 999 + blocks),
    )
    ledger.header(999 + blocks)
    ledger.sql("COMMIT")
    await daemon.take_time()
    async with serve() as bound:
        reads = daemon.reads
        async with http.get(f"{bound.url}/treasuries/alpha/chart.svg") as response:
            assert response.status == 200
            text = await response.text()
        assert daemon.reads > reads + 3
        earlier = []
        for grown in (0, 400_000):
            ledger.tx("alpha", f"{grown:x}", (1_000 + blocks + grown, 9), "inflow", 1)
            ledger.sql("UPDATE treasuries SET confirmed = confirmed + 1 WHERE name = 'alpha'")
            ledger.header(1_000 + blocks + grown)
            for at in (102, 40_000, 999 + blocks - 1):
                async with http.get(f"{bound.url}/treasuries/alpha/chart.svg?at={at}") as response:
                    assert response.status == 200
                    earlier.append(await response.read())
    assert "at the end 5.20120000 BTC" in text
    assert len(text) < 100_000
    # the chain may grow as it will: the picture of an earlier moment is the same for ever
    assert earlier[:3] == earlier[3:]
