"""The writes of the operator's verbs: what is asked is checked, understood and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.web.still_verbs import INCIDENT
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.core.known import Flow
from watcher.core.rehearsal import Sample

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import StillDaemon

ADDRESS = encode_address(b"\x00\x14" + bytes(20), Network.REGTEST)
WHO = {"reason": "a move", "by": "somebody"}
EXPECTATION: dict[str, Any] = {"to": [ADDRESS], "max_sats": 5, "until": "2026-11-24", **WHO}
SAMPLE: dict[str, Any] = {"treasury": "alpha", "flow": "outflow", "sats": 5}


async def post(http: aiohttp.ClientSession, url: str, body: object) -> tuple[int, Any]:
    async with http.post(url, json=body) as response:
        return response.status, await response.json()


async def test_each_verb_is_understood(serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon) -> None:
    async with serve() as bound:
        api = f"{bound.url}/api/v1"
        assert await post(http, f"{api}/endpoints/ops/test", {}) == (
            200,
            {"endpoint": "ops", "delivered": True, "outcome": "delivered", "event": "evt_1", "status": 204,
             "took_ms": 7},
        )  # fmt: skip
        assert await post(http, f"{api}/endpoints/ops/pause", {"seconds": 60, **WHO}) == (
            200,
            {"endpoint": "ops", "until": "2026-11-24T12:01:00.000Z"},
        )
        assert await post(http, f"{api}/sources/home/release", {"reason": "seen"}) == (
            200,
            {"released": True},
        )
        key = {"fingerprint": "sha256:" + "AB" * 32}
        assert await post(http, f"{api}/sources/home/trust", key) == (200, {"trusted": True})
        note = {"text": "rent", "by": "somebody"}
        assert await post(http, f"{api}/incidents/{INCIDENT}/notes", note) == (200, {"event": "evt_3"})
        path = f"{api}/treasuries/alpha/expectations"
        assert await post(http, path, EXPECTATION) == (200, {"event": "evt_4"})
        status, answer = await post(http, f"{api}/rules/test", SAMPLE | {"at": "3", "to": ADDRESS})
    assert (status, answer["notices"][0]["type"], answer["notices"][0]["outcome"]) == (
        200,
        "tx.seen",
        "timeout",
    )
    assert daemon.verbs.asked == [
        ("test", "ops"),
        ("pause", "ops", 60, "a move", "somebody"),
        ("release", "home", "seen"),
        ("trust", "home", b"\xab" * 32),
        ("note", INCIDENT, "rent", "somebody"),
        ("expect", "alpha", (ADDRESS,), 5, 1_795_564_799_000, "a move", "somebody"),
        ("rehearse", Sample("alpha", Flow.OUTFLOW, 5, ADDRESS, 3)),
    ]


async def test_a_paused_endpoint_is_not_tested(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    daemon.verbs.paused = "2026-11-24T14:00:00.000Z"
    async with serve() as bound:
        status, answer = await post(http, f"{bound.url}/api/v1/endpoints/ops/test", {})
    assert (status, answer["delivered"], answer["outcome"], answer["until"]) == (
        200,
        False,
        "paused",
        daemon.verbs.paused,
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("endpoints/x/test", {}),
        ("endpoints/x/pause", {"seconds": 60, **WHO}),
        ("incidents/inc_1/notes", {"text": "rent", "by": "somebody"}),
        ("treasuries/x/expectations", EXPECTATION),
        ("rules/test", SAMPLE | {"treasury": "x"}),
    ],
)
async def test_what_is_not_there_is_404(
    serve: Open, http: aiohttp.ClientSession, path: str, body: dict[str, Any]
) -> None:
    async with serve() as bound:
        assert (await post(http, f"{bound.url}/api/v1/{path}", body))[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("endpoints/ops/test", {"x": 1}, "no fields"),
        ("endpoints/ops/pause", {"seconds": 60}, "the body has"),
        ("endpoints/ops/pause", {"seconds": -1, **WHO}, "seconds is a whole number"),
        ("endpoints/ops/pause", {"seconds": 10**9, **WHO}, "seconds is a whole number"),
        ("endpoints/ops/pause", {"seconds": True, **WHO}, "seconds is a whole number"),
        ("endpoints/ops/pause", {"seconds": 60, "reason": " ", "by": "x"}, "reason is printable"),
        (f"incidents/{INCIDENT}/notes", {"text": "a\nb", "by": "x"}, "text is printable"),
        (f"incidents/{INCIDENT}/notes", {"text": "x" * 501, "by": "x"}, "text is printable"),
        ("treasuries/alpha/expectations", EXPECTATION | {"to": []}, "1 to 500"),
        ("treasuries/alpha/expectations", EXPECTATION | {"to": [1]}, "list of addresses"),
        ("treasuries/alpha/expectations", EXPECTATION | {"to": ["nonsense"]}, "to: "),
        ("treasuries/alpha/expectations", EXPECTATION | {"until": "tomorrow"}, "until is a UTC day"),
        ("treasuries/alpha/expectations", EXPECTATION | {"max_sats": 0.5}, "max_sats is a whole"),
        ("rules/test", SAMPLE | {"flow": "any"}, "flow is one of"),
        ("rules/test", SAMPLE | {"at": "soon"}, "at: a rung is"),
        ("rules/test", SAMPLE | {"to": "nonsense"}, "to: "),
        ("rules/test", SAMPLE | {"oldest_coin_days": -1}, "oldest_coin_days"),
    ],
)
async def test_what_is_asked_wrongly_is_400_and_says_what(
    serve: Open, http: aiohttp.ClientSession, path: str, body: dict[str, Any], says: str
) -> None:
    async with serve() as bound:
        status, problem = await post(http, f"{bound.url}/api/v1/{path}", body)
    assert (status, says in problem["detail"]) == (400, True), problem
