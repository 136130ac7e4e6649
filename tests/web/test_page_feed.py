"""Incidents, events and feeds: permalinks whose entries stay and are corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, fromstring

from tests.web.reading import page

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger

ATOM = "{http://www.w3.org/2005/Atom}"
STORY = "inc_" + "5" * 32


def tell(ledger: SmallLedger, kind: str, treasury: str = "alpha") -> None:
    sequence = ledger.event(
        kind,
        treasury,
        flow="inflow",
        incident=STORY,
        amount_sats=150_000_000,
        moved_sats=150_000_000,
    )
    ledger.sql(
        "UPDATE events SET incident = ?, body = json_set(body, '$.treasury', treasury, '$.flow', flow)"
        " WHERE sequence = ?",
        *(STORY, sequence),
    )


async def read(http: aiohttp.ClientSession, url: str) -> Element:
    async with http.get(url) as response:
        assert (response.status, response.content_type) == (200, "application/atom+xml")
        return fromstring(await response.read())


def text(element: Element, name: str) -> str:
    found = element.findall(f"{ATOM}{name}")
    assert len(found) == 1, name
    return found[0].text or ""


async def test_an_entry_is_updated_by_a_correction_and_keeps_its_id(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    tell(ledger, "tx.seen")
    async with serve() as bound:
        before = await read(http, f"{bound.url}/feed.atom")
        tell(ledger, "tx.replaced")
        after = await read(http, f"{bound.url}/feed.atom")
        mine = await read(http, f"{bound.url}/treasuries/alpha/feed.atom")
        other = await read(http, f"{bound.url}/treasuries/beta/feed.atom")
    first, second = before.findall(f"{ATOM}entry")[0], after.findall(f"{ATOM}entry")[0]
    assert text(first, "id") == text(second, "id")
    assert (
        text(first, "title") == 'Inflow of 1.50000000 BTC to The "alpha" treasury: seen, not in a block yet'
    )
    assert "TAKEN BACK, replaced" in text(second, "title")
    assert text(first, "published") == text(second, "published") == text(first, "updated")
    assert text(first, "updated") < text(second, "updated") == text(after, "updated")
    assert "seen, not in a block yet" in text(second, "content")
    assert len(after.findall(f"{ATOM}entry")) == len(before.findall(f"{ATOM}entry"))
    assert len({text(e, "id") for e in after.findall(f"{ATOM}entry")}) == len(after.findall(f"{ATOM}entry"))
    assert text(mine.findall(f"{ATOM}entry")[0], "id") == text(second, "id")
    assert not other.findall(f"{ATOM}entry")
    assert len({text(feed, "id") for feed in (after, mine, other)}) == 3
    # what the standard asks of a feed and of each entry
    for feed in (after, mine, other):
        assert text(feed, "title")
        assert feed.find(f"{ATOM}author/{ATOM}name") is not None
        assert {link.get("rel") for link in feed.findall(f"{ATOM}link")} == {"self", "alternate"}
        for entry in feed.findall(f"{ATOM}entry"):
            assert text(entry, "title")
            assert text(entry, "content")
            (link,) = entry.findall(f"{ATOM}link")
            assert (link.get("href") or "").startswith(f"{bound.url}/")


async def test_an_incident_tells_its_whole_story_and_links_each_event(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    tell(ledger, "tx.seen")
    tell(ledger, "tx.confirmed")
    async with serve() as bound:
        story = await page(http, f"{bound.url}/incidents/{STORY}")
        links = [a.attributes["href"] for a in story.all("a") if a.text == "This entry"]
        assert links == ["/events/evt_6", "/events/evt_7"]
        for link in links:
            one = await page(http, f"{bound.url}{link}")
            assert one.status == 200
            assert f"/incidents/{STORY}" in [a.attributes["href"] for a in one.all("a")]
            assert '"amount_sats": 150000000' in one.all("pre")[0].text
        home = await page(http, f"{bound.url}/")
        assert f"/incidents/{STORY}" in [a.attributes["href"] for a in home.all("a")]
        for path in ("/incidents/inc_none", "/events/evt_none", "/treasuries/gamma/feed.atom"):
            assert (await page(http, f"{bound.url}{path}")).status == 404
    assert story.text("h2")[1].endswith("confirmed, 0 confirmations")


async def test_the_test_and_the_canary_are_no_news(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.event("watcher.canary", None)
    ledger.event("watcher.test", None)
    async with serve() as bound:
        home = await page(http, f"{bound.url}/")
        feed = await read(http, f"{bound.url}/feed.atom")
    assert len(home.all("ol", class_="news")) == 1
    assert "anary" not in home.source
    assert len(feed.findall(f"{ATOM}entry")) == 5
