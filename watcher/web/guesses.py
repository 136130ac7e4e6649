"""Wrong tokens: whoever sends many is not listened to for a while, so that none can be found by trying.

Counted by the address they come from. Cookies are not counted: nobody guesses 256 bits, and whoever is
logged in stays so while somebody else behind the same proxy tries.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from watcher.web.problem import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE: Final = 10
_EVERY_SECONDS: Final = 6.0  # one more, afterwards
_MOST_ADDRESSES: Final = 1_000


class Guesses:
    """The wrong tokens of one door; `monotonic` is in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._forgiven: dict[str, float] = {}  # when nothing of it counts any more

    def check(self, request: web.Request) -> None:
        """Refuse credentials, the right ones too, from where too many wrong ones came."""
        left = self._forgiven.get(request.remote or "", 0.0) - self._monotonic()
        wait = left - (_AT_ONCE - 1) * _EVERY_SECONDS
        if wait > 0:
            again = {"Retry-After": str(int(wait) + 1)}
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens", headers=again)

    def wrong(self, request: web.Request) -> None:
        """A wrong token has come."""
        address, now = request.remote or "", self._monotonic()
        self._forgiven[address] = max(self._forgiven.pop(address, now), now) + _EVERY_SECONDS
        if len(self._forgiven) > _MOST_ADDRESSES:
            del self._forgiven[next(iter(self._forgiven))]


GUESSES: Final[web.AppKey[Guesses]] = web.AppKey("guesses")
