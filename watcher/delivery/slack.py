"""Slack's incoming webhooks (https://api.slack.com/messaging/webhooks), which many chats imitate.

An incoming webhook cannot answer in a thread (it is never told the id of a message), so an incident's
messages stand one below the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from watcher.delivery.texts.message import Room
from watcher.delivery.verdict import Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.delivery.http import Answer
    from watcher.delivery.texts.message import Message

# "we recommend … 4,000 characters"; longer ones are truncated from 40,000 on
_MAX_CHARACTERS: Final = 3_600
# the three characters with a meaning in any text: `<!channel>` in a label must stay a text
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Slack:
    """The channel that the URL stands for."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    room: Room = field(default=Room(_MAX_CHARACTERS), repr=False)

    def request(self, message: Message) -> bytes:
        """The JSON that posts it, as text without markup."""
        content = {
            "text": f"{message.title}\n{message.body}".translate(_ESCAPES),
            "mrkdwn": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        return json.dumps(content, ensure_ascii=False).encode()

    def verdict(self, answer: Answer) -> Verdict | None:
        """A page for people, such as a login, is no acceptance; else the status says all."""
        if answer.status == 200 and answer.body.lstrip().startswith(b"<"):
            return Retry(Reason.PROTOCOL, None, answer.status)
        return None
