"""Everything that Apprise knows how to reach, where the extra is installed.

Apprise blocks, and nothing ends a thread: each attempt has one of its own, which does not keep the
process alive, and the next attempt waits until the last one's has ended. It connects by itself: the
gate for private addresses is not between.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from watcher.delivery.endpoint import Connectionless
from watcher.delivery.http import TOTAL_SECONDS
from watcher.delivery.queues import Fold
from watcher.delivery.texts.message import Room
from watcher.delivery.verdict import Delivered, Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.delivery.endpoint import Group
    from watcher.delivery.texts.message import Message, Texts

EXTRA: Final = "treasury-watcher[apprise]"
_ROOM: Final = Room(3_000)  # Apprise cuts what a service does not take
_KINDS: Final = {"info": "info", "warning": "warning", "critical": "failure"}
# of these, debug lines hold whole URLs, and with them tokens
_TALKATIVE: Final = ("apprise", "urllib3")


class AppriseSender(Connectionless):
    """Sends to one Apprise URL; ValueError, without the URL in it, where Apprise cannot make sense of it."""

    def __init__(
        self, url: str, texts: Texts, *, now: Callable[[], float], seconds: float = TOTAL_SECONDS
    ) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._service: Any = import_module("apprise").Apprise()
        if len(url.split()) != 1 or not self._service.add(url):
            raise ValueError("the file must hold one URL that Apprise knows")
        self._texts = texts
        self._now = now
        self._seconds = seconds
        self._last: threading.Thread | None = None

    def queue(self) -> Fold:
        """An outflow first and alone, the rest folded where many are alike."""
        return Fold(self._now)

    async def send(self, group: Group) -> Verdict:
        """One message; every failure is a verdict, and Apprise tells no reasons."""
        if self._last is not None and self._last.is_alive():
            return Retry(Reason.TIMEOUT)
        message = await asyncio.to_thread(self._texts.telling, group, _ROOM)
        sent: Future[bool] = Future()
        self._last = threading.Thread(target=self._notify, args=(message, sent), daemon=True)
        self._last.start()
        try:
            async with asyncio.timeout(self._seconds):
                return Delivered(None) if await asyncio.wrap_future(sent) else Retry(Reason.CONNECTION)
        except TimeoutError:
            return Retry(Reason.TIMEOUT)

    def _notify(self, message: Message, sent: Future[bool]) -> None:
        if not sent.set_running_or_notify_cancel():
            return
        kind = _KINDS.get(message.severity, "info")
        done = False
        try:
            done = bool(
                self._service.notify(
                    body=message.body, title=message.title, body_format="text", notify_type=kind
                )
            )
        finally:
            sent.set_result(done)
