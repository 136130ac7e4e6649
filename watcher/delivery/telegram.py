"""Telegram's Bot API, `sendMessage` (https://core.telegram.org/bots/api#sendmessage).

The token stands in the URL's path, so the URL is a secret as a whole. Messages are plain text: without
`parse_mode` nothing in them is markup. A reply would need the id of an earlier message, which nothing
here remembers: there are no threads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from watcher.delivery.schedule import MAX_RETRY_AFTER
from watcher.delivery.texts.message import Room
from watcher.delivery.verdict import Delivered, Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.delivery.http import Answer
    from watcher.delivery.texts.message import Message

API: Final = "https://api.telegram.org"
# 4096 UTF-16 units for title and body together, of which the title has 200 characters at most
_MAX_UNITS: Final = 4_096 - 2 * 200 - 2


class _Parameters(msgspec.Struct):
    retry_after: int | None = None


class _Reply(msgspec.Struct):
    ok: bool
    parameters: _Parameters | None = None


_decoder: Final = msgspec.json.Decoder(_Reply)


def send_message_url(base: str, token: str) -> str:
    """Where to post; a secret."""
    return f"{base.rstrip('/')}/bot{token}/sendMessage"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@dataclass(frozen=True, slots=True)
class Telegram:
    """A chat, by its id or `@name`."""

    chat: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    room: Room = field(default=Room(_MAX_UNITS, _units), repr=False)

    def request(self, message: Message) -> bytes:
        """The JSON that sends it; only what is merely informative arrives without a sound."""
        content = {
            "chat_id": self.chat,
            "text": f"{message.title}\n\n{message.body}",
            "link_preview_options": {"is_disabled": True},
            "disable_notification": message.severity == "info",
        }
        return json.dumps(content, ensure_ascii=False).encode()

    def verdict(self, answer: Answer) -> Verdict | None:
        """A success says `ok`; how long to wait stands in the body."""
        try:
            reply = _decoder.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            reply = _Reply(ok=False)
        after = reply.parameters.retry_after if reply.parameters else None
        if after is not None:
            return Retry(Reason.THROTTLED, float(min(max(after, 0), MAX_RETRY_AFTER)), answer.status)
        if answer.status == 200:
            return Delivered(200) if reply.ok else Retry(Reason.PROTOCOL, None, 200)
        return None
