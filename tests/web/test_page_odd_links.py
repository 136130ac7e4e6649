"""Addresses that no reader of addresses takes are shown and break no page."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.web.reading import page
from watcher.core.claims import Claim, Covers, Says
from watcher.web.page.render import linked
from watcher.web.page.terms import PageTerms, TreasuryTerms

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

ODD = "https://[press]/x"


async def test_a_claim_and_an_address_may_name_a_source_that_is_none(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    ledger.sql("UPDATE watches SET published_by = 'press', source = ?, address = 'bcrt1qexample'", ODD)
    said = Claim(
        "press", Says.EXACTLY, 1, None, date(2026, 11, 1), True, Covers.PUBLISHED, "press", "", "", ODD, ODD,
        None,
    )  # fmt: skip
    daemon.page = PageTerms(explorer=ODD, treasuries={"alpha": TreasuryTerms((said,))})
    async with serve() as bound:
        for path in ("/", "/treasuries/alpha"):
            found = await page(http, f"{bound.url}{path}")
            assert found.status == 200, path
            assert ODD in [a.attributes["href"] for a in found.all("a")], path


@pytest.mark.parametrize(
    ("url", "is_linked"),
    [
        (ODD, True),
        ("HTTPS://a.example", True),
        ("http://a.example", True),
        ("javascript:alert(1)", False),
        ("https:alert(1)", False),
        (" https://a.example", False),
        ("", False),
        (None, False),
    ],
)
def test_only_what_begins_as_a_page_is_linked(url: str | None, *, is_linked: bool) -> None:
    assert linked(url) == (url if is_linked else None)
