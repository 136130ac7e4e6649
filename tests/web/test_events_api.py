"""The log over HTTP: gap-free pages, cursors that can be polled for ever, and those that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger


async def ask(http: aiohttp.ClientSession, url: str, status: int = 200) -> dict[str, Any]:
    async with http.get(url) as response:
        assert response.status == status, await response.text()
        kind = "application/json" if status < 400 else "application/problem+json"
        assert response.content_type == kind
        body: dict[str, Any] = await response.json(content_type=None)
        return body


async def test_pages_follow_each_other_without_gap_and_the_last_cursor_can_be_polled(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    async with serve() as bound:
        url = f"{bound.url}/api/v1/events?limit=2"
        page = await ask(http, url)
        assert page["log"] == ledger.log
        seen = [event["data"]["sequence"] for event in page["events"]]
        for _ in range(3):
            page = await ask(http, f"{url}&after={page['next']}")
            seen += [event["data"]["sequence"] for event in page["events"]]
        assert seen == [1, 2, 3, 4, 5]
        assert page == {"log": ledger.log, "events": [], "next": f"{ledger.log}:5"}
        ledger.event("tx.seen", "alpha")
        page = await ask(http, f"{url}&after={page['next']}")
        assert [event["data"]["sequence"] for event in page["events"]] == [6]


async def test_an_event_has_the_shape_of_a_webhook(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    async with serve() as bound:
        event = (await ask(http, f"{bound.url}/api/v1/events"))["events"][0]
    assert event == {
        "type": "watch.baselined",
        "timestamp": "2026-11-24T12:00:00.001Z",
        "data": {
            "id": "evt_1",
            "log": ledger.log,
            "sequence": 1,
            "anchor": {"height": 100, "hash": "h" * 64},
            "delta_sats": {"confirmed": 500_000_000, "pending": 0},
        },
    }


async def test_a_cursor_of_another_log_is_gone(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        body = await ask(http, f"{bound.url}/api/v1/events?after=0123456789abcdef:2", 410)
    assert body["type"] == "log-changed"
    assert body["status"] == 410


@pytest.mark.parametrize(
    "query",
    [
        "after=LOG:6",
        "after=LOG:999999999999999999",
        "after=LOG:9999999999999999999",
        "after=LOG:-1",
        "after=LOG:1e3",
        "after=LOG:\u0661",
        "after=LOG:",
        "after=LOG",
        "after=",
        "after=:1",
        "after=LOG:1:2",
        "after=%00:1",
        "after=LOG:1&after=LOG:2",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1.0",
        "limit=99999999999999999999",
        "order=desc",
    ],
)
async def test_what_cannot_be_meant_is_a_bad_request(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, query: str
) -> None:
    async with serve() as bound:
        body = await ask(http, f"{bound.url}/api/v1/events?{query.replace('LOG', ledger.log)}", 400)
    assert body["status"] == 400
    assert body["detail"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("events", "after"),
        ("events", "limit"),
        ("events/stream", "after"),
        ("treasuries", "at"),
        ("treasuries/alpha/history", "after"),
        ("treasuries/alpha/history", "since"),
        ("treasuries/alpha/history", "format"),
        ("deliveries", "state"),
        ("deliveries", "endpoint"),
        ("deliveries", "before"),
    ],
)
async def test_a_parameter_without_a_value_is_named(
    serve: Open, http: aiohttp.ClientSession, path: str, name: str
) -> None:
    async with serve() as bound:
        body = await ask(http, f"{bound.url}/api/v1/{path}?{name}=", 400)
        # in one line, whatever else is asked
        assert body["detail"] == f"{name} is empty: leave it out, or give it a value"
        body = await ask(http, f"{bound.url}/api/v1/{path}?cursor=", 400)
        assert body["detail"].startswith("unknown query parameter; known here: ")


async def test_an_empty_log_has_a_cursor_too(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.sql("DELETE FROM deliveries")
    ledger.sql("DELETE FROM events")
    async with serve() as bound:
        page = await ask(http, f"{bound.url}/api/v1/events")
        assert page == {"log": ledger.log, "events": [], "next": f"{ledger.log}:0"}
        assert await ask(http, f"{bound.url}/api/v1/events?after={page['next']}") == page
