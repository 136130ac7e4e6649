"""What people see and do at the page in a real Chromium: a first reading, a dispute, the outbox, the past."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.stack.processes import until
from tests.web.browser import browser
from tests.web.small_ledger import NOON_MS
from tests.web.test_access import ADMIN, READ, TOKENS
from watcher.web.page.terms import PageTerms
from watcher.web.page.words import CATALOGUES
from watcher.web.snapshot import SourceFigure, SourceState, Stale, Waiting

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

pytestmark = pytest.mark.slow
MAIN = "document.getElementById('main').innerText.replaceAll('\\n', ' ')"
HOME = SourceState("home", "electrum", "me", up=True, tip_height=102, last_success_ms=NOON_MS)


async def test_a_first_reading_shows_how_far_it_is_and_who_says_what(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    daemon.told = [SourceFigure("home", 3, 4, 700_000_000), SourceFigure("other", 1, 4, 699_000_000)]
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/treasuries/beta")
        assert await tab.value("document.querySelector('.balance').innerText") == "unknown"
        assert await tab.value("document.querySelector('progress').value") == 1
        assert await tab.value("document.querySelector('.unproven caption').innerText") == (
            "What each server has told so far: unproven, by its own word alone"
        )
        rows = "[...document.querySelectorAll('.unproven tbody tr')].map((row) => row.innerText).join('; ')"
        assert (await tab.value(rows)).split() == (
            ["home", "3", "of", "4", "7.00000000;", "other", "1", "of", "4", "6.99000000"]
        )
        assert "cannot be said yet" in await tab.value(MAIN)
        await tab.value("window.kept = 1")
        daemon.told = [replace(each, read=4, sats=700_000_000) for each in daemon.told]
        ledger.sql("UPDATE scripts SET read_ms = 1 WHERE scripthash IN ('beta-1', 'beta-2')")
        # nothing is told of it: the page looks by itself
        await tab.until("document.querySelector('progress')?.value === 3")
        assert (await tab.value(rows)).split() == (
            ["home", "4", "of", "4", "7.00000000;", "other", "4", "of", "4", "7.00000000"]
        )
        ledger.sql("UPDATE scripts SET read_ms = 1")
        ledger.sql("UPDATE treasuries SET confirmed = 700000000, baselined_ms = 1 WHERE name = 'beta'")
        ledger.event(
            "watch.baselined", "beta", delta=(700_000_000, 0), anchor={"height": 102, "hash": "h" * 64}
        )
        daemon.bell.ring()
        await tab.until("document.querySelector('.balance').innerText.startsWith('7.00000000')")
        assert await tab.value("window.kept") == 1
        assert await tab.value("document.querySelector('.unproven')") is None
        assert tab.complaints == []


async def test_a_disagreement_can_be_seen(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    daemon.candidates = [Waiting("ab" * 32, 5_000_000, ("liar",))]
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/")
        assert "liar" not in await tab.value(MAIN)
        caught = SourceState(
            "liar", "electrum", "somebody", up=True, tip_height=101, last_success_ms=NOON_MS,
            strikes={"omitted": 3}, caught="omitted", quarantined_until_ms=NOON_MS + 3_600_000,
        )  # fmt: skip
        daemon.changes = {"sources": (HOME, caught)}
        daemon.not_fresh = [Stale("alpha", ("quarantined",))]
        ledger.event("source.disagreed", None, source="liar", reason="omitted", incident="inc_liar")
        daemon.bell.ring()
        await tab.until(f"{MAIN}.includes('liar')")
        shown = await tab.value(MAIN)
        assert "not asked until 2026-11-24 13:00:00 UTC" in shown
        assert "1 block" in shown
        assert "3 \N{MULTIPLICATION SIGN} left out a proven transaction" in shown
        assert "not up to date: " in shown
        await tab.press("a[href='/incidents/inc_liar']")
        assert "liar" in await tab.value("document.querySelector('.told').innerText")
        await tab.open(f"{bound.url}/treasuries/alpha")
        assert "+0.05000000 liar abab" in " ".join((await tab.value(MAIN)).split())
        assert tab.complaints == []


async def test_a_page_that_looks_the_same_follows_another_log(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    """After a restore the old place in the log is refused; the page asks for the new one's by itself."""
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/treasuries/beta")
        loads = tab.loads
        ledger.sql("UPDATE meta SET value = 'another' WHERE key = 'log'")

        async def followed() -> bool:
            return str(await tab.value("document.getElementById('main').dataset.cursor")) == "another:5"

        await until(followed, within=60, what="the place in the other log")
        assert tab.loads == loads


async def test_an_operator_sends_a_dead_delivery_again(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    state = "SELECT state FROM deliveries WHERE id = 3"
    async with serve(TOKENS) as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/login")
        await tab.write("#token", READ)
        await tab.press("form button")
        await tab.open(f"{bound.url}/outbox?state=dead")
        # whoever may only read sees it and has no button
        assert "given up" in await tab.value(MAIN)
        assert await tab.value("document.querySelectorAll('form').length") == 0
        await tab.open(f"{bound.url}/login")
        await tab.write("#token", ADMIN)
        await tab.press("form button")
        await tab.press("nav a[href='/outbox']")
        assert ledger.connection.execute(state).fetchone()[0] == "dead"
        await tab.press("#redeliver-3")
        assert ledger.connection.execute(state).fetchone()[0] == "pending"
        assert await tab.value("location.pathname + location.hash") == "/outbox#d-3"
        assert "waiting" in await tab.value("document.querySelector('#d-3').innerText")
        assert tab.complaints == []
        assert all(url.startswith((f"{bound.url}/", "about:")) for url in tab.asked)


async def test_a_person_asks_for_the_past(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/treasuries/alpha")
        await tab.write("#at", "101")
        await tab.press("form.ask button")
        assert await tab.value("location.search") == "?at=101"
        assert "As it was at the end of block 101" in await tab.value(MAIN)
        assert (await tab.value("document.querySelector('.balance').innerText")).startswith("5.20001000")
        await tab.press(".then a")
        assert (await tab.value("document.querySelector('.balance').innerText")).startswith("5.20000000")
        assert tab.complaints == []


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
async def test_nothing_hinders_people(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    daemon.told = [SourceFigure("home", 3, 4, 700_000_000), SourceFigure("other", 0, 4, 0)]
    daemon.candidates = [Waiting("ab" * 32, 5_000_000, ("home",))]
    async with serve() as bound, browser(http) as tab:
        for path in (
            *("/", "/treasuries/alpha", "/treasuries/beta", "/treasuries/alpha?at=101", "/outbox"),
            *("/events/evt_3", "/trust", "/login", "/none"),
        ):
            for width, dark in ((390, True), (1440, False)):
                await tab.open(f"{bound.url}{path}", width=width, dark=dark)
                assert await tab.hindrances() == [], (path, width)
                assert await tab.value("document.documentElement.scrollWidth") <= width, path
        # to see that it looks at all
        await tab.value("document.querySelector('main').append(document.createElement('img'))")
        assert any(found.startswith("image-alt: ") for found in await tab.hindrances())
