"""ntfy: JSON to the server's root (https://docs.ntfy.sh/publish/, "Publish as JSON")."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from watcher.delivery.texts.message import Room
from watcher.delivery.verdict import Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.delivery.http import Answer
    from watcher.delivery.texts.message import Message

# the server's default `message-size-limit`; what is longer it turns into an attachment or refuses
_MAX_BYTES: Final = 4_096
_PRIORITIES: Final = {"info": 3, "warning": 4, "critical": 5}
# names of emojis, which clients show before the title
_SIGNS: Final = {"info": "information_source", "warning": "warning", "critical": "rotating_light"}


class _Published(msgspec.Struct):
    event: str


_decoder: Final = msgspec.json.Decoder(_Published)


@dataclass(frozen=True, slots=True)
class Ntfy:
    """A topic; the tags carry treasury and incident, since a topic has no threads."""

    topic: str = field(repr=False)  # on a public server it is all that keeps strangers out
    token: str | None = field(default=None, repr=False)
    room: Room = field(default=Room(_MAX_BYTES, lambda text: len(text.encode())), repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The access token, where there is one."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    def request(self, message: Message) -> bytes:
        """The JSON that publishes it."""
        tags = [_SIGNS.get(message.severity), message.treasury, message.incident]
        content = {
            "topic": self.topic,
            "title": message.title,
            "message": message.body,
            "priority": _PRIORITIES.get(message.severity),
            "tags": [tag for tag in tags if tag],
        }
        if message.link is not None:
            content["click"] = message.link
        return json.dumps(content, ensure_ascii=False).encode()

    def verdict(self, answer: Answer) -> Verdict | None:
        """A success shows the published message; a page that says 200 to everything is none."""
        if answer.status != 200:
            return None
        try:
            published = _decoder.decode(answer.body).event == "message"
        except (msgspec.DecodeError, UnicodeDecodeError):
            published = False
        return None if published else Retry(Reason.PROTOCOL, None, answer.status)
