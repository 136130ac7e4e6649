"""The page in a real Chromium: live, silent in the console, asking nobody else, usable without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browser import browser
from tests.web.test_access import READ, TOKENS

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

pytestmark = pytest.mark.slow
MAIN = "document.getElementById('main').innerText"


async def test_a_movement_appears_without_a_reload_and_keeps_the_focus(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    async with serve() as bound, browser(http) as tab:
        for path in ("/", "/treasuries/alpha"):
            await tab.open(f"{bound.url}{path}")
            assert "5.20000000" in (await tab.value(MAIN)).replace("\n", "")
            await tab.value("window.kept = 1; document.querySelector('main a').focus()")
            focused = await tab.value("document.activeElement.href")
            loads = tab.loads
            ledger.tx("alpha", f"b{len(path):x}", (102, 9 + len(path)), "inflow", 100_000_000)
            ledger.sql("UPDATE treasuries SET confirmed = 620000000 WHERE name = 'alpha'")
            ledger.event("tx.confirmed", "alpha", flow="inflow")
            daemon.bell.ring()
            await tab.until(f"{MAIN}.replaceAll('\\n', '').includes('6.20000000')")
            await tab.until("document.getElementById('said').textContent.startsWith('Updated.')")
            assert (await tab.value("window.kept"), tab.loads) == (1, loads)
            assert await tab.value("document.activeElement.href") == focused
            ledger.sql("UPDATE treasuries SET confirmed = 520000000 WHERE name = 'alpha'")
        assert tab.complaints == []


async def test_no_page_complains_asks_elsewhere_or_is_wider_than_the_screen(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound, browser(http) as tab:
        for path in (
            "/",
            "/treasuries/alpha",
            "/treasuries/alpha?at=101",
            "/events/evt_3",
            "/trust",
            "/login",
        ):
            for width, dark in ((390, True), (1440, False)):
                await tab.open(f"{bound.url}{path}", width=width, dark=dark)
                assert await tab.value("document.documentElement.scrollWidth") <= width, path
                # a table may be wider than the screen, what it is called may not
                wide = "Math.max(0, ...[...document.querySelectorAll('caption')].map((c) => c.offsetWidth))"
                assert await tab.value(wide) <= width, path
                ground = await tab.value("getComputedStyle(document.body).backgroundColor")
                assert ground == ("rgb(15, 19, 25)" if dark else "rgb(246, 247, 249)")
        await tab.open(f"{bound.url}/treasuries/alpha")
        assert await tab.value("document.querySelector('img.chart').naturalWidth") == 720
        # to see that complaints are heard: the policy refuses what the page does not do
        assert tab.complaints == []
        await tab.value(
            "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.2/'}))"
        )
        assert "Content Security Policy" in await tab.complained()
    assert all(
        url.startswith((f"{bound.url}/", "about:", "data:")) for url in tab.asked - {"http://127.0.0.2/"}
    )


async def test_a_person_logs_in_by_the_form(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve(TOKENS) as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/login")
        await tab.write("#token", READ)
        await tab.press("form button")
        assert await tab.value("location.pathname") == "/"
        assert "5.20000000" in (await tab.value(MAIN)).replace("\n", "")
        assert await tab.value("document.cookie") == ""


async def test_without_scripts_the_page_says_the_same(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound, browser(http) as tab:
        await tab.open(f"{bound.url}/treasuries/alpha")
        live = await tab.value(MAIN)
        await tab.call("Emulation.setScriptExecutionDisabled", value=True)
        tab.asked.clear()
        await tab.open(f"{bound.url}/treasuries/alpha")
        document = await tab.call("DOM.getDocument")
        main = await tab.call("DOM.querySelector", nodeId=document["root"]["nodeId"], selector="h1")
        html = await tab.call("DOM.getOuterHTML", nodeId=main["nodeId"])
        assert live.split("\n")[0] in html["outerHTML"]
        assert not any("/events/stream" in url for url in tab.asked)
