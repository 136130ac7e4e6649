"""Stand-ins for the services people read in: each takes what its documentation allows and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from tests.delivery.rig import SECRET, Answer, Request, target, webhook
from tests.delivery.samples import texts
from watcher.delivery.alertmanager import PATH, AlertmanagerSender
from watcher.delivery.chat import ChatSender
from watcher.delivery.http import Poster
from watcher.delivery.ntfy import Ntfy
from watcher.delivery.slack import Slack
from watcher.delivery.telegram import Telegram, send_message_url

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp.abc import AbstractResolver

    from watcher.delivery.endpoint import HttpTarget, Sender

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
ACCESS = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
TOPIC = "treasury-7f3a"


def _answer(code: int, content: bytes, kind: str, writer: asyncio.StreamWriter) -> None:
    head = f"HTTP/1.1 {code} x\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)


def _enforcing(check: Callable[[Request], Any], *, good: Any, bad: Any, plain: bool = False) -> Answer:
    """Answers `good` when the check passes, else 400 with `bad`; AssertionErrors are refusals."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        try:
            check(request)
            code, content = 200, good
        except (AssertionError, KeyError, ValueError) as refusal:
            code, content = 400, bad
            print(f"refused: {refusal!r}")
        shown = content if plain else json.dumps(content)
        _answer(code, shown.encode(), "text/plain" if plain else "application/json", writer)

    return answer


def _webhook(request: Request) -> None:
    Webhook(SECRET).verify(request.body, request.headers)


def _ntfy(request: Request) -> None:
    """https://docs.ntfy.sh/publish/#publish-as-json and the default limits of server.yml."""
    assert request.line.startswith("POST / "), request.line
    assert request.headers["authorization"] == f"Bearer {ACCESS}"
    content = json.loads(request.body)
    assert content.keys() <= {"topic", "message", "title", "tags", "priority", "click", "actions", "markdown"}
    assert re.fullmatch(r"[-_A-Za-z0-9]{1,64}", content["topic"])
    assert 0 < len(content["message"].encode()) <= 4096
    assert len(content["title"]) <= 250
    assert type(content["priority"]) is int
    assert 1 <= content["priority"] <= 5
    assert all(isinstance(tag, str) and "," not in tag for tag in content["tags"])
    assert urlsplit(content.get("click", "https://x")).scheme == "https"


def _telegram(request: Request) -> None:
    """https://core.telegram.org/bots/api#sendmessage."""
    assert request.line.startswith(f"POST /bot{TOKEN}/sendMessage "), "404"
    content = json.loads(request.body)
    known = {"chat_id", "text", "parse_mode", "link_preview_options", "disable_notification"}
    assert content.keys() <= known
    assert "parse_mode" not in content
    assert re.fullmatch(r"-?[0-9]+|@[A-Za-z0-9_]+", content["chat_id"])
    assert 1 <= len(content["text"].encode("utf-16-le")) // 2 <= 4096
    assert isinstance(content["disable_notification"], bool)
    assert content["link_preview_options"] == {"is_disabled": True}


def _slack(request: Request) -> None:
    """https://api.slack.com/reference/surfaces/formatting#escaping and the webhooks' payload."""
    content = json.loads(request.body)
    assert content.keys() <= {"text", "blocks", "mrkdwn", "unfurl_links", "unfurl_media"}
    assert 0 < len(content["text"]) <= 4000
    assert not re.search(r"<|>|&(?!amp;|lt;|gt;)", content["text"])


def _alertmanager(request: Request) -> None:
    """`postableAlerts` of Alertmanager's api/v2/openapi.yaml, and the labels that CONTRACT closes."""
    assert request.line.startswith(f"POST {PATH} "), request.line
    alerts = json.loads(request.body)
    assert alerts
    for alert in alerts:
        assert alert.keys() <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert alert["labels"].keys() <= {"alertname", "treasury", "network", "severity", "incident"}
        for labels in (alert["labels"], alert["annotations"]):
            assert all(isinstance(value, str) for value in labels.values())
        instants = [datetime.fromisoformat(alert[key]) for key in ("startsAt", "endsAt") if key in alert]
        assert instants == sorted(instants)
        assert urlsplit(alert.get("generatorURL", "https://x")).netloc


@dataclass(frozen=True)
class Kind:
    """A kind of endpoint by HTTP: how to make its sender, who takes its messages, what nobody may see."""

    name: str
    path: str
    make: Callable[[HttpTarget, float, AbstractResolver | None], Sender]
    service: Answer
    secrets: tuple[str, ...]
    now: float = 1_800_000_000.0

    def sender(
        self,
        base: str,
        *,
        allow_private: bool = True,
        seconds: float = 60.0,
        names: AbstractResolver | None = None,
    ) -> Sender:
        """To the service at this scheme, host and port."""
        where = target(base + self.path, allow_private=allow_private)
        return self.make(where, seconds, names)


NOW = Kind.now


def _poster(where: HttpTarget, seconds: float, names: AbstractResolver | None) -> Poster:
    return Poster(where, now=lambda: NOW, seconds=seconds, resolver=names)


KINDS = (
    Kind(
        "webhook",
        "/hook/path-token",
        lambda where, seconds, names: webhook(where, seconds=seconds, names=names),
        _enforcing(_webhook, good="ok", bad="no", plain=True),
        (SECRET, "path-token"),
    ),
    Kind(
        "alertmanager",
        PATH,
        lambda w, s, n: AlertmanagerSender([_poster(w, s, n)], texts("en"), now=lambda: NOW),
        _enforcing(_alertmanager, good="", bad='{"code": 602}', plain=True),
        (),
    ),
    Kind(
        "ntfy",
        "/",
        lambda w, s, n: ChatSender(_poster(w, s, n), Ntfy(TOPIC, ACCESS), texts("en"), now=lambda: NOW),
        _enforcing(
            _ntfy,
            good={"id": "sPs71M8A2T", "time": 1643935928, "event": "message", "topic": TOPIC},
            bad={"code": 40024, "http": 400, "error": "invalid request"},
        ),
        (ACCESS, TOPIC),
    ),
    Kind(
        "telegram",
        send_message_url("", TOKEN),
        lambda w, s, n: ChatSender(_poster(w, s, n), Telegram("-100123"), texts("es"), now=lambda: NOW),
        _enforcing(
            _telegram,
            good={"ok": True, "result": {"message_id": 1}},
            bad={"ok": False, "error_code": 400, "description": "Bad Request"},
        ),
        (TOKEN, TOKEN.partition(":")[2]),
    ),
    Kind(
        "slack",
        "/services/T0/B0/path-token",
        lambda w, s, n: ChatSender(_poster(w, s, n), Slack(), texts("es"), now=lambda: NOW),
        _enforcing(_slack, good="ok", bad="invalid_payload", plain=True),
        ("path-token",),
    ),
)
