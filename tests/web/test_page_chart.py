"""The picture of a balance: what its axes say, and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.reading import page
from tests.web.small_ledger import NOON_MS
from watcher.web.page.terms import PageTerms
from watcher.web.page.words import CATALOGUES

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

CHART = "/treasuries/alpha/chart.svg"


@pytest.mark.parametrize(
    ("lang", "flows"),
    [("en", "received and paid, up to 0.20001000 BTC"), ("es", "entradas y salidas, hasta 0.20001000 BTC")],
)
async def test_each_axis_says_what_it_measures(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str, flows: str
) -> None:
    assert lang in CATALOGUES
    daemon.page = PageTerms(lang=lang)
    async with serve() as bound:
        chart = await page(http, f"{bound.url}{CHART}")
    assert chart.text("text") == ["5.20001000 BTC", "0", "2026-11-24 22:40", "2026-11-24 23:00", flows]


async def test_amounts_are_grouped_as_on_the_page(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.sql("UPDATE treasuries SET confirmed = 1234520001000 WHERE name = 'alpha'")
    async with serve() as bound:
        chart = await page(http, f"{bound.url}{CHART}")
    assert chart.all("text")[0].text == "12\u202f345.20002000 BTC"


async def test_a_day_ends_at_its_end_also_where_the_header_of_its_last_block_is_not_kept(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    """Below the last checkpoint only some headers are."""
    day = 86_400
    for height, days in ((400, 1), (430, 2), (460, 3)):
        seconds = NOON_MS // 1000 + days * day
        ledger.sql(
            "INSERT INTO headers VALUES (?, ?)", height, bytes(68) + seconds.to_bytes(4, "little") + bytes(8)
        )
    ledger.sql("UPDATE treasuries SET complete_height = 460 WHERE name = 'alpha'")
    async with serve() as bound:
        told = await page(http, f"{bound.url}/treasuries/alpha?at=2026-11-25")
        chart = await page(http, f"{bound.url}{CHART}?at=2026-11-25")
    assert "5.20000000 BTC" in told.text("section", class_="card")[0]
    assert chart.text("text")[2:4] == ["2026-11-24", "2026-11-25"]
