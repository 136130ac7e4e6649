"""What is not known is neither zero nor nothing, and what is not shown is not passed over in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.reading import page
from tests.web.test_access import ADMIN, TOKENS
from watcher.web.page.terms import PageTerms
from watcher.web.page.words import CATALOGUES

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
async def test_a_first_reading_says_of_no_address_that_it_is_empty_and_not_that_nothing_moved(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str
) -> None:
    daemon.page, words = PageTerms(lang=lang), CATALOGUES[lang]
    async with serve() as bound:
        found = await page(http, f"{bound.url}/treasuries/beta")
    assert "0.00000000" not in found.source
    assert [words["unknown"] in row for row in found.text("tr")[-4:]] == [True] * 4
    assert words["no_movements"] not in found.source
    assert words["movements_unknown"] in found.source
    assert words["no_incidents"] not in found.source
    assert words["incidents_reading"] in found.source


async def test_where_the_balance_of_a_moment_is_not_known_no_address_has_one(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        before, after = [await page(http, f"{bound.url}/treasuries/alpha?at={at}") for at in (99, 100)]
    assert "unknown" in before.text("section", class_="card")[0]
    for found, word in ((before, "unknown"), (after, "0.00000000")):
        assert [word in row for row in found.text("tr")[-2:]] == [True] * 2


async def test_a_moment_before_all_movements_says_until_when_there_was_none(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.sql("UPDATE treasuries SET confirmed = 320000000 WHERE name = 'alpha'")  # nothing unexplained
    async with serve() as bound:
        found = await page(http, f"{bound.url}/treasuries/alpha?at=50")
    assert "0.00000000 BTC" in found.text("section", class_="card")[0]
    assert "No movement until then." in found.text("section")[-2]


async def test_an_event_without_an_incident_is_not_said_to_have_one(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.event("source.failed", None, source="home", reason="unavailable", incident="inc_home")
    async with serve() as bound:
        alone, within = [await page(http, f"{bound.url}/events/evt_{n}") for n in (1, 6)]
    assert ["its incident" in found.text("main")[0] for found in (alone, within)] == [False, True]


async def test_only_who_is_logged_in_is_offered_to_log_out(serve: Open, http: aiohttp.ClientSession) -> None:
    token = {"Authorization": f"Bearer {ADMIN}"}
    async with serve(TOKENS) as bound:
        offered = [
            [form.attributes["action"] for form in (await page(http, f"{bound.url}/login", who)).all("form")]
            for who in ({}, token)
        ]
    assert offered == [["/login"], ["/login", "/logout"]]


async def test_what_is_cut_off_is_said_to_be(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    for n in range(49):
        ledger.tx("alpha", f"w{n}", None, "inflow", 1)
    async with serve() as bound:
        shown = [await page(http, f"{bound.url}/treasuries/alpha")]
        ledger.tx("alpha", "w49", None, "inflow", 1)
        shown.append(await page(http, f"{bound.url}/treasuries/alpha"))
    assert ["the CSV has all" in found.source for found in shown] == [False, True]
    assert [len(found.text("table")[0].split("reported")) - 1 for found in shown] == [50, 50]


@pytest.mark.parametrize(("lang", "more"), [("en", "And 3 addresses more."), ("es", "Y 3 direcciones más.")])
async def test_addresses_of_further_publishers_are_counted(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon, lang: str, more: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    ledger.treasury("gamma", confirmed=0, pending=0, baselined=True)
    ledger.scripts("gamma", 6, read=6)
    async with serve() as bound:
        assert more not in (await page(http, f"{bound.url}/treasuries/gamma")).source
        ledger.sql("UPDATE watches SET published_by = 'Publisher ' || id WHERE treasury = 'gamma'")
        assert (
            f"{more} "
            in (await page(http, f"{bound.url}/treasuries/gamma")).text("section", class_="card")[0]
        )


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "no treasury of this name"), ("es", "No hay nada en esta dirección.")]
)
async def test_a_page_that_is_not_there_says_so_in_the_language_of_the_others(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str, said: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    async with serve() as bound:
        found = await page(http, f"{bound.url}/treasuries/none")
    assert found.status == 404
    assert found.text("main")[0].endswith(said)
