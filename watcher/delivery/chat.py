"""One attempt at a place where people read, by HTTP: the kinds differ in their request and answer only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from watcher.delivery.http import Answer, OverHttp
from watcher.delivery.queues import Fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watcher.delivery.endpoint import Group
    from watcher.delivery.http import Poster
    from watcher.delivery.texts.message import Message, Room, Texts
    from watcher.delivery.verdict import Verdict


class ChatKind(Protocol):
    """What a service takes and what its answers mean."""

    @property
    def room(self) -> Room:
        """How large a body it takes."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with every request."""

    def request(self, message: Message) -> bytes:
        """The JSON that says it."""

    def verdict(self, answer: Answer) -> Verdict | None:
        """What this service's own words mean; None: its status says all."""


class ChatSender(OverHttp):
    """Sends to one conversation, floods folded; `now` gives seconds since 1970."""

    def __init__(self, http: Poster, kind: ChatKind, texts: Texts, *, now: Callable[[], float]) -> None:
        super().__init__(http)
        self._http = http
        self._now = now
        self._kind = kind
        self._texts = texts

    def queue(self) -> Fold:
        """An outflow first and alone, the rest folded where many are alike."""
        return Fold(self._now)

    async def send(self, group: Group) -> Verdict:
        """One message; every failure is a verdict."""
        # in a thread: thousands of bodies take longer to read than the loop may stand still
        message = await asyncio.to_thread(self._texts.telling, group, self._kind.room)
        answer = await self._http.post(self._kind.request(message), self._kind.headers)
        own = self._kind.verdict(answer) if isinstance(answer, Answer) else None
        return self._http.judge(answer) if own is None else own
