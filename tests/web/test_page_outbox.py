"""The outbox for people: who sees it, who may send again, and that no other site can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.reading import page
from tests.web.test_access import ADMIN, READ, TOKENS
from watcher.web.access import Guarded

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger

AGAIN = "/outbox/3/redeliver"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def state(ledger: SmallLedger) -> str:
    return str(ledger.connection.execute("SELECT state FROM deliveries WHERE id = 3").fetchone()[0])


async def cookie(http: aiohttp.ClientSession, url: str | None, token: str) -> dict[str, str]:
    async with http.post(f"{url}/login", data={"token": token}, allow_redirects=False) as response:
        http.cookie_jar.clear()
        return {"Cookie": f"treasury-watcher={response.cookies['treasury-watcher'].value}"}


async def test_every_delivery_is_listed_and_can_be_asked_for_by_its_state(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    for n in range(60):
        ledger.delivery(f"mail-{n}", 3, "dead" if n % 2 else "pending")
    async with serve() as bound:
        first = await page(http, f"{bound.url}/outbox")
        links = {a.text: a.attributes["href"] for a in first.all("a")}
        second = await page(http, f"{bound.url}{links['Further ones']}")
        dead = await page(http, f"{bound.url}/outbox?state=dead")
        rows = [len([r for r in found.all("tr") if "id" in r.attributes]) for found in (first, second, dead)]
        assert rows == [50, 13, 31]
        assert (await page(http, f"{bound.url}/outbox?state=none")).status == 400


async def test_only_an_admin_has_buttons_and_only_they_work(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    async with serve(TOKENS) as bound:
        reader, admin = await cookie(http, bound.url, READ), await cookie(http, bound.url, ADMIN)
        assert (await page(http, f"{bound.url}/outbox")).status == 401
        assert not (await page(http, f"{bound.url}/outbox", reader)).all("button")
        assert len((await page(http, f"{bound.url}/outbox", admin)).all("button")) == 3
        for who, status in (({}, 401), (reader, 403)):
            async with http.post(f"{bound.url}{AGAIN}", headers=FORM | who) as response:
                assert response.status == status
        assert state(ledger) == "dead"
        async with http.post(
            f"{bound.url}{AGAIN}", headers=FORM | admin | {"Origin": str(bound.url)}, allow_redirects=False
        ) as response:
            assert (response.status, response.headers["Location"]) == (303, "/outbox?before=4#d-3")
        assert state(ledger) == "pending"
        async with http.post(f"{bound.url}/outbox/99/redeliver", headers=FORM | admin) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json"}, 415),
    ],
    ids=str,
)
async def test_a_page_of_another_site_sends_nothing_again(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, headers: dict[str, str], status: int
) -> None:
    """Also where no token is set, and whoever reaches the address is an admin."""
    async with serve(TOKENS) as bound:
        admin = await cookie(http, bound.url, ADMIN)
        async with http.post(f"{bound.url}{AGAIN}", headers=FORM | admin | headers, data="") as response:
            assert response.status == status
    async with (
        serve() as bound,
        http.post(f"{bound.url}{AGAIN}", headers=FORM | headers, data="") as response,
    ):
        assert response.status == status
    assert state(ledger) == "dead"


async def test_visitors_of_a_public_page_see_no_outbox(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve(Guarded(public=True)) as bound:
        assert (await page(http, f"{bound.url}/outbox")).status == 403
        home = await page(http, f"{bound.url}/")
        assert not [a for a in home.all("a") if "outbox" in a.attributes["href"]]
        async with http.post(f"{bound.url}{AGAIN}", headers=FORM) as response:
            assert response.status == 403
