"""Long names on a narrow screen: nothing beyond the edge that cannot be reached, no word broken amid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browser import browser
from tests.web.small_ledger import NOON_MS
from watcher.web.page.terms import PageTerms
from watcher.web.page.words import CATALOGUES
from watcher.web.snapshot import SourceFigure, SourceState

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

pytestmark = pytest.mark.slow
WIDTH = 390
LONG = "a-source-with-a-long-name.example.onion"
# how many lines the text of an element takes
LINES = """(() => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector(%r));
  return new Set([...range.getClientRects()].map((each) => Math.round(each.bottom))).size;
})()"""


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
async def test_a_first_reading_with_long_names_and_large_figures_is_as_wide_as_the_screen(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    daemon.told = [SourceFigure("blockstream", 1_311, 12_400, 1_234_567_890_123), SourceFigure(LONG, 1, 4, 0)]
    async with serve() as bound, browser(http) as tab:
        for path in ("/", "/treasuries/beta"):
            await tab.open(f"{bound.url}{path}", width=WIDTH)
            assert await tab.value("document.documentElement.scrollWidth") <= WIDTH, path


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
async def test_the_button_that_sends_again_is_within_a_narrow_screen(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon, lang: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    ledger.delivery("correo-del-equipo-de-tesoreria@finanzas.example", 4, "dead")
    ledger.delivery("alertmanager", 4, "dead")
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/outbox", width=WIDTH)
        edges = (
            "[...document.querySelectorAll('td button')].map((each) => each.getBoundingClientRect().right)"
        )
        assert await tab.value(f"Math.max(...{edges})") <= WIDTH
        assert await tab.value("document.documentElement.scrollWidth") <= WIDTH
        # what a name leaves no room for is wrapped between its parts, and a word of usual length is not
        assert await tab.value(LINES % "#d-5 th") == 1
        assert await tab.value(LINES % "#d-4 th") > 1


async def test_a_label_of_two_words_is_one_line(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.sql("UPDATE watches SET label = 'wallet 2', published_by = 'The Office', address = ?", "b" * 42)
    label = "#addresses ~ .wide tbody td:nth-child(3)"
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/treasuries/alpha", width=WIDTH)
        assert await tab.value(f"document.querySelector({label!r}).innerText") == "wallet 2"
        assert await tab.value(LINES % label) == 1


async def test_what_a_source_was_caught_at_does_not_stand_word_by_word(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    liar = SourceState(
        LONG, "electrum", "somebody", up=True, tip_height=101, last_success_ms=NOON_MS,
        strikes={"omitted": 3, "status": 1, "merkle": 2}, quarantined_until_ms=NOON_MS + 3_600_000,
    )  # fmt: skip
    daemon.changes = {"sources": (liar,)}
    caught = "#sources ~ .wide tbody td:last-child"
    async with serve() as bound, browser(http) as tab:
        for width in (WIDTH, 1440):
            await tab.open(f"{bound.url}/", width=width)
            text = await tab.value(f"document.querySelector({caught!r}).innerText")
            assert "left out a proven transaction" in text
            assert await tab.value(LINES % caught) <= 5, width


async def test_a_table_stays_where_it_was_scrolled_to_when_the_page_renews_itself(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/treasuries/alpha", width=WIDTH)
        wide = "document.querySelector('#history ~ .wide:last-of-type')"
        await tab.value(f"{wide}.scrollLeft = 120")
        ledger.tx("alpha", "b1", (102, 9), "inflow", 100_000_000)
        ledger.event("tx.confirmed", "alpha", flow="inflow")
        daemon.bell.ring()
        await tab.until("document.getElementById('said').textContent.startsWith('Updated.')")
        assert await tab.value(f"{wide}.scrollLeft") == 120
