"""One attempt at a Standard Webhooks receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.delivery.http import OverHttp
from watcher.delivery.queues import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.delivery.endpoint import Group
    from watcher.delivery.http import Poster
    from watcher.delivery.signing import Signer
    from watcher.delivery.verdict import Verdict


class WebhookSender(OverHttp):
    """Sends to one receiver; `now` gives seconds since 1970."""

    def __init__(self, http: Poster, signer: Signer, *, now: Callable[[], float]) -> None:
        super().__init__(http)
        self._http = http
        self._signer = signer
        self._now = now

    def queue(self) -> Line:
        """Each event by itself."""
        return Line()

    async def send(self, group: Group) -> Verdict:
        """One POST of the stored bytes, signed afresh; every failure is a verdict."""
        (delivery,) = group
        headers = self._signer.headers(delivery.webhook_id, self._now(), delivery.body)
        return self._http.judge(await self._http.post(delivery.body.encode(), headers))
