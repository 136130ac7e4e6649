"""The writes of the command line: their bodies are checked here, and what came of them is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from watcher.bitcoin.types import MAX_SATS, Malformed
from watcher.core.instants import rfc3339
from watcher.core.known import Flow
from watcher.core.rehearsal import Sample, UnknownTreasuryError
from watcher.core.rules_types import parse_rung
from watcher.web import requests
from watcher.web.answers import answer, unknown
from watcher.web.backend import BACKEND
from watcher.web.bodies import MOST_ADDRESSES, MOST_NAME, MOST_SECONDS, MOST_TEXT
from watcher.web.problem import bad_request, not_found
from watcher.web.verbs import OverError, Paused, Verdict

if TYPE_CHECKING:
    from aiohttp import web

    from watcher.core.rules_types import Rung

_FINGERPRINT: Final = re.compile(r"(?:sha256:)?[0-9a-fA-F]{64}")


async def redeliver(request: web.Request) -> web.Response:
    """Make one delivery due now."""
    await requests.json_body(request)
    delivery = int(request.match_info["id"])
    if not await request.app[BACKEND].redeliver(delivery):
        raise not_found("no delivery of this id")
    return answer({"redelivered": 1}, HTTPStatus.ACCEPTED)


async def redeliver_since(request: web.Request) -> web.Response:
    """Make due now all that went to an endpoint from an event on."""
    body = await requests.json_body(request)
    endpoint, since = body.get("endpoint"), body.get("since")
    if set(body) != {"endpoint", "since"} or not isinstance(endpoint, str) or type(since) is not int:
        raise bad_request("the body is {endpoint: name, since: sequence}")
    if not 0 <= since < 2**63:
        raise bad_request("since is the sequence of an event")
    count = await request.app[BACKEND].redeliver_since(endpoint, since)
    if count is None:
        raise await unknown(request, "endpoint", endpoint)
    return answer({"redelivered": count}, HTTPStatus.ACCEPTED)


async def reload(request: web.Request) -> web.Response:
    """Read the config again; 422 with every error where it is refused and the old one stays."""
    body = await requests.json_body(request)
    reason, by = body.get("reason"), body.get("by")
    for name, text, most in (("reason", reason, 500), ("by", by, 100)):
        if text is not None and not (isinstance(text, str) and len(text) <= most and text.isprintable()):
            raise bad_request(f"{name} is printable text of at most {most} characters")
    if set(body) - {"reason", "by"}:
        raise bad_request("the body is {reason: text, by: text}, both optional")
    errors = await request.app[BACKEND].reload(reason, by)
    if errors:
        return answer({"reloaded": False, "errors": list(errors)}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return answer({"reloaded": True, "errors": []})


async def test_endpoint(request: web.Request) -> web.Response:
    """Send a test message through the whole outbox and wait for the first verdict."""
    _only(await requests.json_body(request), set())
    name = request.match_info["name"]
    verdict = await request.app[BACKEND].verbs.test(name)
    if verdict is None:
        raise await unknown(request, "endpoint", name)
    return answer(_view(verdict))


async def pause_endpoint(request: web.Request) -> web.Response:
    """Let what is for an endpoint wait; 0 seconds end a pause."""
    body = _only(await requests.json_body(request), {"seconds", "reason", "by"})
    seconds = _number(body, "seconds", MOST_SECONDS)
    reason, by = _text(body, "reason", MOST_TEXT), _text(body, "by", MOST_NAME)
    name = request.match_info["name"]
    until_ms = await request.app[BACKEND].verbs.pause(name, seconds, reason, by)
    if until_ms is None:
        raise await unknown(request, "endpoint", name)
    return answer({"endpoint": name, "until": rfc3339(until_ms)})


async def release_source(request: web.Request) -> web.Response:
    """Ask a quarantined source again, at once."""
    body = _only(await requests.json_body(request), {"reason"})
    reason = _text(body, "reason", MOST_TEXT)
    released = request.app[BACKEND].verbs.release(request.match_info["name"], reason)
    if released is None:
        raise await unknown(request, "source", request.match_info["name"])
    return answer({"released": released})


async def trust_source(request: web.Request) -> web.Response:
    """Know a source by another key from now on, at once."""
    body = _only(await requests.json_body(request), set(), {"fingerprint"})
    given = body.get("fingerprint")
    if given is not None and not (isinstance(given, str) and _FINGERPRINT.fullmatch(given)):
        raise bad_request("fingerprint is sha256: and 64 hex digits")
    fingerprint = None if given is None else bytes.fromhex(given.removeprefix("sha256:"))
    trusted = await request.app[BACKEND].verbs.trust(request.match_info["name"], fingerprint)
    if trusted is None:
        raise await unknown(request, "source", request.match_info["name"])
    if not trusted:
        raise bad_request('its key is not trusted on first use: that is tls = "tofu" in the config')
    return answer({"trusted": True})


async def note_incident(request: web.Request) -> web.Response:
    """Append a remark to an incident."""
    body = _only(await requests.json_body(request), {"text", "by"})
    text, by = _text(body, "text", MOST_TEXT), _text(body, "by", MOST_NAME)
    event = await request.app[BACKEND].verbs.note(request.match_info["id"], text, by)
    if event is None:
        raise not_found("no event of this incident")
    return answer({"event": event})


async def expect_movement(request: web.Request) -> web.Response:
    """Announce a movement: an outflow that matches is told as expected."""
    body = _only(await requests.json_body(request), {"to", "max_sats", "until", "reason", "by"})
    to = body["to"]
    if not isinstance(to, list) or not all(isinstance(each, str) and len(each) <= 200 for each in to):
        raise bad_request("to is a list of addresses")
    if not 1 <= len(to) <= MOST_ADDRESSES:
        raise bad_request(f"to has 1 to {MOST_ADDRESSES} addresses")
    most = _number(body, "max_sats", MAX_SATS)
    until_ms = _instant(_text(body, "until", 32))
    reason, by = _text(body, "reason", MOST_TEXT), _text(body, "by", MOST_NAME)
    name = request.match_info["name"]
    try:
        event = await request.app[BACKEND].verbs.expect(name, to, most, until_ms, reason, by)
    except Malformed as error:
        raise bad_request(f"to: {error}") from None
    except OverError as error:
        raise bad_request(f"until: {error}") from None
    if event is None:
        raise await unknown(request, "treasury", name)
    return answer({"event": event})


async def rehearse_rules(request: web.Request) -> web.Response:
    """Send what the rules would say of a movement, as test messages."""
    body = _only(
        await requests.json_body(request),
        {"treasury", "flow", "sats"},
        {"to", "at", "oldest_coin_days", "first_spend"},
    )
    sample = _sample(body)
    try:
        found = await request.app[BACKEND].verbs.rehearse(sample)
    except UnknownTreasuryError:
        raise await unknown(request, "treasury", sample.treasury) from None
    except Malformed as error:
        raise bad_request(f"to: {error}") from None
    return answer({"notices": [{"type": r.type, "step": r.step, **_view(r.verdict)} for r in found]})


def _sample(body: dict[str, Any]) -> Sample:
    flow, to, days = body["flow"], body.get("to"), body.get("oldest_coin_days")
    if not isinstance(flow, str) or flow not in set(Flow):
        raise bad_request(f"flow is one of {', '.join(Flow)}")
    if to is not None and not (isinstance(to, str) and len(to) <= 200):
        raise bad_request("to is an address")
    return Sample(
        treasury=_text(body, "treasury", 64),
        flow=Flow(flow),
        sats=_number(body, "sats", MAX_SATS),
        to=to,
        at=_rung(body.get("at")),
        oldest_coin_days=None if days is None else _number(body, "oldest_coin_days", 100_000),
        first_spend=body.get("first_spend") is True,
    )


def _rung(value: object) -> Rung | None:
    try:
        # the config's finality is not known here: a number beyond it is brought down to it later
        return None if value is None else parse_rung(value, finality=1_000_000)
    except ValueError as error:
        raise bad_request(f"at: {error}") from None


def _view(verdict: Verdict | Paused) -> dict[str, Any]:
    match verdict:
        case Paused():
            return {
                "endpoint": verdict.endpoint,
                "delivered": False,
                "outcome": "paused",
                "until": verdict.until,
            }
        case Verdict():
            return {
                "endpoint": verdict.endpoint,
                "delivered": verdict.delivered,
                "outcome": verdict.outcome,
                "event": verdict.event,
                "status": verdict.status,
                "took_ms": verdict.took_ms,
            }


def _only(
    body: dict[str, Any], needed: set[str], known: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    if not needed <= set(body) <= needed | known:
        raise bad_request(f"the body has {', '.join(sorted(needed | known)) or 'no fields'}")
    return body


def _text(body: dict[str, Any], name: str, most: int) -> str:
    text = body[name]
    if not (isinstance(text, str) and text.strip() and len(text) <= most and text.isprintable()):
        raise bad_request(f"{name} is printable text of 1 to {most} characters")
    return text


def _number(body: dict[str, Any], name: str, most: int) -> int:
    number = body[name]
    if type(number) is not int or not 0 <= number <= most:
        raise bad_request(f"{name} is a whole number from 0 to {most}")
    return number


def _instant(text: str) -> int:
    try:
        seconds = datetime.fromisoformat(requests.bound(text, end=True)).astimezone(UTC).timestamp()
    except ValueError:
        raise bad_request("until is a UTC day or an RFC 3339 instant with Z") from None
    return int(seconds * 1000)
