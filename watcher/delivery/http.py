"""One POST over HTTP, bounded, to an address that passed the gate, and what its answer means.

An answer counts when it is whole or when enough of it has arrived that we stop listening: an answer
cut off before that is a failure, since a second copy is dropped by its id and a missed one is missed.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Self

import aiohttp
from multidict import CIMultiDict

from watcher import __version__
from watcher.delivery.schedule import MAX_RETRY_AFTER
from watcher.delivery.targets import ForbiddenAddress, gate
from watcher.delivery.verdict import Delivered, Gone, Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from aiohttp.abc import AbstractResolver

    from watcher.delivery.endpoint import HttpTarget

USER_AGENT: Final = f"treasury-watcher/{__version__}"
_OURS: Final = {
    "user-agent": USER_AGENT,
    "accept-encoding": "identity",
    "content-type": "application/json",
}
TOTAL_SECONDS: Final = 20.0  # the specification recommends 15 to 30
CONNECT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 65_536
# shorter than the idle time of common servers (5 s), so that we do not write into a closing connection
KEEP_ALIVE_SECONDS: Final = 4.0
# lookups of one name are shared for that long: a slow resolver holds one thread, not one for each attempt
DNS_SECONDS: Final = 10

_BY_STATUS: Final = {
    429: Reason.THROTTLED,
    502: Reason.OVERLOADED,
    503: Reason.OVERLOADED,
    504: Reason.OVERLOADED,
}
_BY_CLASS: Final = {3: Reason.REDIRECT, 4: Reason.STATUS_4XX, 5: Reason.STATUS_5XX}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `body` is its beginning, at most `MAX_ANSWER_BYTES` and a chunk."""

    status: int
    retry_after: str | None = field(repr=False)
    body: bytes = field(repr=False)


class Poster:
    """Posts to one target; an async context manager, since it owns a connection pool.

    `now` gives seconds since 1970, `resolver` is aiohttp's (by default the system's), `seconds` bounds
    a whole attempt.
    """

    def __init__(
        self,
        target: HttpTarget,
        *,
        now: Callable[[], float],
        resolver: AbstractResolver | None = None,
        seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._target = target
        self._seconds = seconds
        self._now = now
        self._resolver = resolver
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0,  # the outbox bounds how many attempts run at once
            resolver=self._resolver,
            ttl_dns_cache=DNS_SECONDS,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            socket_factory=gate(allow_private=self._target.allow_private),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer | Retry:
        """The answer to JSON sent with these headers and the operator's; no answer is a verdict."""
        sent = CIMultiDict(self._target.headers)
        sent.update(_OURS)
        sent.update(headers)
        try:
            async with self._session.post(
                self._target.url, data=body, headers=sent, allow_redirects=False
            ) as response:
                heard = await _listen(response)
                return Answer(response.status, response.headers.get("retry-after"), heard)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
            return Retry(reason_of(error))

    def judge(self, answer: Answer | Retry) -> Verdict:
        """What the status says; what was no answer stays the verdict it is."""
        if isinstance(answer, Retry):
            return answer
        return verdict_of(answer.status, answer.retry_after, self._now())


class OverHttp:
    """What a sender by HTTP is built on: its connections open and close with it."""

    def __init__(self, *posters: Poster) -> None:
        self._posters = posters
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for poster in self._posters:
            await self._opened.enter_async_context(poster)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()


async def _listen(response: aiohttp.ClientResponse) -> bytes:
    heard = bytearray()
    async for chunk in response.content.iter_any():
        heard += chunk
        if len(heard) > MAX_ANSWER_BYTES:
            response.close()
            break
    return bytes(heard)


def verdict_of(status: int, retry_after: str | None, now: float) -> Verdict:
    """What the specification makes of an HTTP status; `now` is in seconds since 1970."""
    if 200 <= status < 300:
        return Delivered(status)
    if status == 410:
        return Gone(status)
    reason = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, Reason.PROTOCOL)
    return Retry(reason, retry_after_seconds(retry_after, now), status)


def retry_after_seconds(text: str | None, now: float) -> float | None:
    """`Retry-After` (RFC 9110: seconds or an HTTP date) in seconds, at most a day; None: it says nothing."""
    if text is None or len(text) > 64:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
            # an HTTP date is in GMT even where it leaves that out
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def reason_of(error: Exception) -> Reason:
    """The reason in our words for what aiohttp or the system raised."""
    match error:
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ForbiddenAddress):
            return Reason.FORBIDDEN_ADDRESS
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return Reason.TLS
        case aiohttp.ClientConnectorDNSError() | UnicodeError():  # a name that cannot be one
            return Reason.DNS
        case TimeoutError():
            return Reason.TIMEOUT
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | OSError():
            return Reason.CONNECTION
        case _:
            return Reason.PROTOCOL
