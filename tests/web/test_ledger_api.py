"""Treasuries, history, outbox and health as the API tells them."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.web.small_ledger import BLOCK_TIME
from watcher.core.instants import rfc3339_seconds
from watcher.ledger.history import HistoryRow
from watcher.ledger.sqlite import driver
from watcher.web.history import COLUMNS, csv_lines

if TYPE_CHECKING:
    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

HISTORY = "/api/v1/treasuries/alpha/history"


async def ask(http: aiohttp.ClientSession, url: str, status: int = 200) -> dict[str, Any]:
    async with http.get(url) as response:
        assert response.status == status, await response.text()
        body: dict[str, Any] = await response.json(content_type=None)
        return body


async def test_a_treasury_tells_its_balance_and_how_far_it_is_known(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        alpha, beta = (await ask(http, f"{bound.url}/api/v1/treasuries"))["treasuries"]
        unproven = {"first_reading": [], "candidates": []}  # told of one treasury alone
        assert alpha | unproven == await ask(http, f"{bound.url}/api/v1/treasuries/alpha")
    assert alpha["balance_sats"] == {"confirmed": 520_000_000, "pending": -20_000_000}
    assert alpha["complete_as_of"] == {
        "height": 102,
        "hash": "c" * 64,
        "time": "2026-11-24T12:00:00.000Z",
        "sources": ["home"],
        "independent": 1,
    }
    assert (alpha["fresh"], alpha["scripts"], alpha["baseline_ratio"]) == (True, 2, 1.0)
    assert (beta["balance_sats"], beta["fresh"], beta["baseline_ratio"]) == (None, False, 0.25)
    assert beta["stale_reasons"] == ["first_reading"]


async def test_the_history_runs_along_the_chain_and_adds_up_to_the_balance(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        rows = (await ask(http, f"{bound.url}{HISTORY}"))["rows"]
    assert [(r["height"], r["kind"], r["amount_sats"], r["balance_sats"]) for r in rows] == [
        (90, "transaction", 300_000_000, 300_000_000),
        # what the known transactions do not explain of the 5 BTC at the anchor
        (100, "baseline", 200_000_000, 500_000_000),
        (101, "transaction", 20_001_000, 520_001_000),
        (102, "transaction", -1_000, 520_000_000),
        (None, "transaction", -20_000_000, 520_000_000),
    ]
    assert rows[1]["block_time_utc"] == rfc3339_seconds(BLOCK_TIME + 60_000)
    assert rows[4]["amount_btc"] == "-0.20000000"
    assert rows[4]["trust"] == "reported"


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_of_a_history_carry_the_balance_on(
    serve: Open, http: aiohttp.ClientSession, limit: int
) -> None:
    async with serve() as bound:
        whole = (await ask(http, f"{bound.url}{HISTORY}"))["rows"]
        page = await ask(http, f"{bound.url}{HISTORY}?limit={limit}")
        rows = page["rows"]
        while page["next"] is not None:
            page = await ask(http, f"{bound.url}{HISTORY}?limit={limit}&after={page['next']}")
            rows += page["rows"]
    assert rows == whole


async def test_a_history_can_be_cut_by_day_without_losing_the_balance_before(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        since = rfc3339_seconds(BLOCK_TIME + 101 * 600)
        rows = (await ask(http, f"{bound.url}{HISTORY}?since={since}&until={since}"))["rows"]
        assert [(r["height"], r["balance_sats"]) for r in rows] == [(101, 520_001_000)]
        rows = (await ask(http, f"{bound.url}{HISTORY}?since=2026-11-24"))["rows"]
        assert [r["height"] for r in rows] == [90, 100, 101, 102, None]
        assert (await ask(http, f"{bound.url}{HISTORY}?until=2026-11-23"))["rows"] == []
        for bad in (
            "since=yesterday",
            "until=2026-02-30",
            "since=2026-11-24T10:00:00",
            "after=1.2.3",
            "at=yesterday",
            "when=5",
        ):
            await ask(http, f"{bound.url}{HISTORY}?{bad}", 400)


async def test_the_csv_has_the_columns_and_the_rows_of_the_history(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound, http.get(f"{bound.url}{HISTORY}?format=csv") as response:
        assert response.content_type == "text/csv"
        text = await response.text()
        rows = (await ask(http, f"{bound.url}{HISTORY}"))["rows"]
    assert text.count("\r\n") == 6
    told = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(told[0]) == COLUMNS
    assert told == [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]


async def test_who_asks_for_the_head_alone_gets_no_row(serve: Open) -> None:
    async with serve() as bound:
        parts = urlsplit(bound.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        request = f"HEAD {HISTORY}?format=csv HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        told = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert told.startswith(b"HTTP/1.1 200 OK\r\n")
    assert told.index(b"\r\n\r\n") == len(told) - 4


async def test_a_long_csv_comes_in_pages_and_is_whole(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    await daemon.take_time()
    ledger.sql("BEGIN")
    for n in reversed(range(2_500)):
        ledger.tx("alpha", f"n{n}", (200 + n // 2, n), "inflow", n)
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + ? WHERE name = 'alpha'", sum(range(2_500)))
    ledger.sql("COMMIT")
    async with serve() as bound, http.get(f"{bound.url}{HISTORY}?format=csv") as response:
        told = list(csv.DictReader(io.StringIO(await response.text())))
    assert len(told) == 2_505
    assert told[-2]["balance_sats"] == str(520_000_000 + sum(range(2_500)))


async def test_a_csv_that_a_reorganisation_cut_through_does_not_look_whole(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    await daemon.take_time()
    ledger.sql("BEGIN")
    for n in range(1_500):
        ledger.tx("alpha", f"n{n}", (200 + n, 1), "inflow", n)
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + ? WHERE name = 'alpha'", sum(range(1_500)))
    ledger.sql("COMMIT")

    def unconfirm() -> None:
        if daemon.reads == 2:
            ledger.sql("UPDATE entries SET state = 'missing', confirmed = 0 WHERE amount = 20001000")
            ledger.sql("UPDATE treasuries SET confirmed = confirmed - 20001000 WHERE name = 'alpha'")

    daemon.before_read = unconfirm
    async with serve() as bound, http.get(f"{bound.url}{HISTORY}?format=csv") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.text()
    assert daemon.reads == 8


def test_text_that_a_spreadsheet_would_run_is_defused_and_figures_are_not() -> None:
    row = HistoryRow(1, "=1+1", None, "@x", "-k", "+f", -5, -7, "\tt", 'say "=", then\nnewline')
    assert csv_lines([row]) == (
        '1,\'=1+1,,\'@x,\'-k,\'+f,-5,-0.00000005,-7,-0.00000007,,,,\'\tt,"say ""="", then\nnewline"\r\n'
    )


async def test_unknown_things_are_not_found(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        for path in (
            "/api/v1/treasuries/gamma",
            "/api/v1/treasuries/gamma/history",
            "/api/v1/treasuries/gamma/history?format=csv",
            "/api/v1/treasuries/..%2f..%2fetc",
            "/api/v1/nothing",
            "/..%2f..%2fetc/passwd",
        ):
            body = await ask(http, f"{bound.url}{path}", 404)
            assert body["status"] == 404
            assert "etc" not in str(body)
        async with http.put(f"{bound.url}/api/v1/events") as response:
            assert (response.status, response.content_type) == (405, "application/problem+json")
            assert "GET" in response.headers["Allow"]


async def test_deliveries_are_told_newest_first_and_can_be_sent_again(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    async with serve() as bound:
        url = f"{bound.url}/api/v1/deliveries"
        page = await ask(http, f"{url}?limit=2")
        assert [(d["id"], d["state"]) for d in page["deliveries"]] == [(3, "dead"), (2, "pending")]
        page = await ask(http, f"{url}?limit=2&before={page['next']}")
        assert [(d["id"], d["type"], d["webhook_id"]) for d in page["deliveries"]] == [
            (1, "tx.seen", "evt_2")
        ]
        assert page["next"] is None
        async with http.post(f"{url}/3/redeliver") as response:
            assert response.status == 202
        dead = await ask(http, f"{url}?state=dead")
        assert dead["deliveries"] == []
        async with http.post(f"{url}/redeliver", json={"endpoint": "ops", "since": 0}) as response:
            assert (response.status, await response.json()) == (202, {"redelivered": 3})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("99/redeliver", {}, 404),
        ("x/redeliver", {}, 404),
        ("9999999999999999999/redeliver", {}, 404),
        ("redeliver", {"endpoint": "nobody", "since": 0}, 404),
        ("redeliver", {"endpoint": "ops"}, 400),
        ("redeliver", {"endpoint": "ops", "since": True}, 400),
        ("redeliver", {"endpoint": "ops", "since": 2**63}, 400),
        ("redeliver", {"endpoint": "ops", "since": 1, "all": True}, 400),
        ("redeliver", [], 400),
        ("redeliver", {"endpoint": "x" * 70_000, "since": 1}, 413),
    ],
)
async def test_a_write_that_cannot_be_meant_is_refused(
    serve: Open, http: aiohttp.ClientSession, path: str, body: object, status: int
) -> None:
    async with (
        serve() as bound,
        http.post(f"{bound.url}/api/v1/deliveries/{path}", json=body) as response,
    ):
        assert (response.status, response.content_type) == (status, "application/problem+json")


async def test_health_says_what_is_not_so_and_why(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    async with serve() as bound:
        assert await ask(http, f"{bound.url}/healthz") == {"healthy": True}
        assert await ask(http, f"{bound.url}/readyz") == {"ready": True, "reasons": []}
        assert await ask(http, f"{bound.url}/freshz", 503) == {
            "fresh": False,
            "stale": [{"treasury": "beta", "reasons": ["first_reading"]}],
        }
        daemon.not_fresh, daemon.not_ready = [], ["ledger_not_writable"]
        assert await ask(http, f"{bound.url}/freshz") == {"fresh": True, "stale": []}
        assert await ask(http, f"{bound.url}/readyz", 503) == {
            "ready": False,
            "reasons": ["ledger_not_writable"],
        }


async def test_an_answer_that_breaks_off_does_not_look_whole_and_has_no_other_in_it(
    serve: Open, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    ledger.sql("BEGIN")
    for n in range(500):
        ledger.tx("alpha", f"n{n}", (200 + n, 1), "inflow", n)
    ledger.sql("COMMIT")

    def break_off() -> None:
        if daemon.reads == 2:
            raise driver.OperationalError("interrupted")

    daemon.before_read = break_off
    async with serve() as bound:
        parts = urlsplit(bound.url)
        for path in (f"{HISTORY}?format=csv", "/api/v1/events/stream"):
            daemon.reads = 0
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            told = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert told.startswith(b"HTTP/1.1 200 OK\r\n")
            assert told.count(b"HTTP/1.1") == 1
            assert not told.endswith(b"\r\n0\r\n\r\n")  # the last chunk


async def test_the_openapi_document_names_what_is_there(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        document = await ask(http, f"{bound.url}/api/openapi.json")
        assert document["openapi"].startswith("3.1")
        for template, operations in document["paths"].items():
            path = template.replace("{name}", "alpha").replace("{id}", "3")
            for method, operation in operations.items():
                async with http.request(method, f"{bound.url}{path}", allow_redirects=False) as response:
                    assert str(response.status) in operation["responses"], path
                if method == "post":
                    long = {"data": b"x" * 70_000, "headers": {"Content-Type": "application/json"}}
                    async with http.post(f"{bound.url}{path}", allow_redirects=False, **long) as response:
                        assert str(response.status) in operation["responses"], path


async def test_status_tells_the_whole_daemon(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        status = await ask(http, f"{bound.url}/api/v1/status")
        sources = await ask(http, f"{bound.url}/api/v1/sources")
    assert (status["network"], status["sequence"], status["tip"]["height"]) == ("regtest", 5, 102)
    assert (status["ready"], status["fresh"]) == (True, False)
    assert [t["name"] for t in status["treasuries"]] == ["alpha", "beta"]
    assert status["outbox"] == [
        {
            "endpoint": "ops",
            "pending": 1,
            "dead": 1,
            "oldest_due": "2026-11-24T12:00:00.005Z",
            "paused_until": None,
        }
    ]
    assert status["sources"] == sources["sources"]
