"""HTTP as a source of facts: one question, one whole answer of the form asked for, or none.

Everything is bounded: the size of an answer by its form, its time from the first byte to the last, how
many are under way. Whatever is not a plain 200 of that form is an error, and its body is never read as
an answer: redirects, compressed bodies, pages of a proxy, half an answer.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

import aiohttp
from aiohttp_socks import ProxyConnector
from multidict import CIMultiDict
from python_socks import ProxyError, ProxyType

from watcher import __version__
from watcher.sources.base import Misbehaved, NotThere, SourceError, TooBusy, Unavailable
from watcher.sources.certificates import ends_at
from watcher.sources.dial import Authorities, is_known
from watcher.sources.health import Outcome
from watcher.sources.names import Resolver
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from aiohttp.connector import Connection

    from watcher.sources.budget import Allowance
    from watcher.sources.dial import FirstUse, Pin, Tls
    from watcher.sources.health import HealthRecord
    from watcher.sources.names import Names
    from watcher.sources.proxy import Socks

_OURS: Final = {"user-agent": f"treasury-watcher/{__version__}", "accept-encoding": "identity"}
_CONNECT_SECONDS: Final = 10.0
_DNS_SECONDS: Final = 60
_LONGEST_PAUSE: Final = 3_600.0
_PAUSE: Final = 30.0  # after "too many requests" that does not say for how long
_ERROR_BYTES: Final = 2_000
_LARGE: Final = 1_000_000  # bytes
_TOO_MANY: Final = b"Too many "  # electrs: "Too many history transactions (>N). ..."


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer has to look like: its media type, and at most so many bytes."""

    media: str
    most: int


class Wait(Enum):
    """How a question waits for the budget.

    `IN_TURN` queues however long it takes. `AT_LEISURE` is asked when nothing else waits: however many there
    are of it, the question for the tip is not behind them. `BRIEFLY` is given up where it would take
    longer than anybody waits.
    """

    IN_TURN = auto()
    AT_LEISURE = auto()
    BRIEFLY = auto()


class Oversized(Unavailable):
    """An answer larger than its form allows."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a server is asked.

    `request` is the seconds for a whole request (twice that where the answer may be large), `at_once` how
    many run beside each other, `history` the longest history that is read, in transactions, `every` the
    seconds between two looks at the tip. `budget` has (requests, seconds) that hold at once, `patience` is
    the seconds that `Wait.BRIEFLY` waits for it; `headers` are sent with every request.
    """

    request: float = 15.0
    at_once: int = 4
    history: int = 20_000
    every: float = 15.0
    budget: tuple[tuple[int, float], ...] = ()
    patience: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: Socks | None = None


class _Response(aiohttp.ClientResponse):
    """Notes who the server is, while there still is a connection to ask."""

    not_after: float | None = None
    peer: object = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        if connection.transport is not None:
            self.peer = connection.transport.get_extra_info("peername")
            self.not_after = ends_at(_certificate(connection.transport))
        return await super().start(connection)


class _Known(aiohttp.Fingerprint):
    """Asked by aiohttp of each new connection, before anything is sent."""

    def __init__(self, tls: Pin | FirstUse) -> None:
        super().__init__(tls.fingerprint or bytes(32))
        self._tls = tls

    def check(self, transport: asyncio.Transport) -> None:
        certificate = _certificate(transport)
        if not certificate or not is_known(certificate, self._tls):
            raise aiohttp.ServerFingerprintMismatch(self.fingerprint, sha256(certificate).digest(), "", 0)


def _certificate(transport: asyncio.BaseTransport) -> bytes:
    """What the server has shown, in DER; empty without TLS."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return b"" if tls is None else tls.getpeercert(binary_form=True) or b""


class Rest:
    """Asks one server; an async context manager, since it owns a connection pool.

    `name` is the source's; `clock` gives Unix seconds; `allowance` is waited for.
    """

    def __init__(
        self,
        name: str,
        base: str,
        *,
        clock: Callable[[], float],
        record: HealthRecord,
        asking: Asking,
        allowance: Allowance,
        tls: Tls,
        names: Names,
    ) -> None:
        self._name = name
        self._base = base.rstrip("/")
        self._clock = clock
        self._record = record
        self._asking = asking
        self._allowance = allowance
        self._headers = CIMultiDict(asking.headers)
        self._headers.update(_OURS)
        self._tls = tls
        self._names = names
        self._slots = asyncio.Semaphore(asking.at_once)
        self._large = asyncio.Semaphore(1)
        self._silent_until = 0.0
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        if isinstance(self._tls, Authorities):
            trusted: ssl.SSLContext | aiohttp.Fingerprint = ssl.create_default_context(cafile=self._tls.file)
        else:
            trusted = _Known(self._tls)
        self._session = aiohttp.ClientSession(
            connector=self._connector(trusted),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            auto_decompress=False,
            trust_env=False,
        )
        return self

    def _connector(self, trusted: ssl.SSLContext | aiohttp.Fingerprint) -> aiohttp.BaseConnector:
        proxy, limit = self._asking.proxy, self._asking.at_once
        if proxy is None:
            return aiohttp.TCPConnector(
                limit=limit, ssl=trusted, ttl_dns_cache=_DNS_SECONDS, resolver=Resolver(self._names)
            )
        username, password = proxy.credentials
        return ProxyConnector(
            proxy.host, proxy.port, ProxyType.SOCKS5, username, password, rdns=True, limit=limit, ssl=trusted
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, form: Form, *, wait: Wait = Wait.IN_TURN) -> bytes:
        """The body of the answer at `path`; a `SourceError` says why there is none.

        `Oversized` is an answer beyond the form.
        """
        await self._allowed(wait)
        async with self._slots:
            self._check_pause()
            now = asyncio.get_running_loop().time
            began = now()
            outcome = Outcome.ERROR
            try:
                body = await self._fetch(path, form)
                outcome = Outcome.OK
            except NotThere:
                outcome = Outcome.OK
                raise
            except TimeoutError:
                outcome = Outcome.TIMEOUT
                raise Unavailable("no whole answer in time") from None
            except aiohttp.ServerFingerprintMismatch:
                raise Misbehaved("certificate", "the certificate is not the known one") from None
            except (aiohttp.ClientError, ProxyError, OSError, UnicodeError) as error:
                raise Unavailable(f"no answer: {type(error).__name__}: {quoted(error)}") from None
            finally:
                self._record.answered(outcome, now() - began)
            self._record.last_success = self._clock()
            return body

    async def _allowed(self, wait: Wait) -> None:
        """Wait for the budget, in this way."""
        self._check_pause()
        time = asyncio.get_running_loop().time
        while (delay := self._allowance.delay(time())) > 0 and wait is Wait.AT_LEISURE:
            await asyncio.sleep(delay)
            self._check_pause()
        if delay > self._asking.patience and wait is Wait.BRIEFLY:
            raise Unavailable("the budget is used up", retry_after=delay)
        await asyncio.sleep(self._allowance.take(time()))

    async def _fetch(self, path: str, form: Form) -> bytes:
        if self._session.closed:
            raise Unavailable("not connected")
        timeout = aiohttp.ClientTimeout(
            total=self._asking.request * (2 if form.most > _LARGE else 1), sock_connect=_CONNECT_SECONDS
        )
        async with self._session.get(
            self._base + path, headers=self._headers, allow_redirects=False, timeout=timeout
        ) as response:
            if isinstance(response, _Response):
                self._record.certificate_until(response.not_after, self._name, self._clock())
                if self._asking.proxy is None:
                    self._names.worked(response.peer)
            if "age" not in response.headers:  # else some cache's answer, of an earlier time
                self._record.told_the_time(response.headers.get("date"), self._clock())
            if self._record.software is None and "server" in response.headers:
                self._record.software = quoted(response.headers["server"], limit=80)
            if response.status != 200:
                raise await self._refusal(response)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Unavailable("a compressed answer, which was not asked for")
            if response.content_type != form.media:
                raise Unavailable(f"an answer of the type {quoted(response.content_type, limit=40)}")
            return await self._body(response, form.most)

    async def _body(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        """The whole of it; of several large ones under way the others wait, so that one alone takes room."""
        body = bytearray()
        async with AsyncExitStack() as turn:
            async for part in response.content.iter_any():
                if len(body) <= _LARGE < len(body) + len(part):
                    await turn.enter_async_context(self._large)
                body += part
                if len(body) > most:
                    raise Oversized(f"an answer of more than {most} bytes")
            return bytes(body)

    async def _refusal(self, response: aiohttp.ClientResponse) -> SourceError:
        """The error that a status stands for; a refusal's text is looked at, and never an answer."""
        status = response.status
        told = f"HTTP status {status}"
        plain = response.content_type in {"text/plain", "application/json"}
        if status in {429, 503}:
            wait = self._told_to_wait(response.headers.get("retry-after"))
            if wait is None and status == 429:
                wait = _PAUSE
            if wait is not None:
                self._silent_until = asyncio.get_running_loop().time() + wait
            return Unavailable(told, retry_after=wait)
        if status == 413:
            return TooBusy(told)
        if status in {404, 422} and plain:  # a page is some proxy's word, not the server's
            return NotThere(told)
        if status == 400 and plain and (await response.content.read(_ERROR_BYTES)).startswith(_TOO_MANY):
            return TooBusy(told)
        return Unavailable(told)

    def _told_to_wait(self, header: str | None) -> float | None:
        """Seconds in a `Retry-After`, which has seconds or a date; None where it says nothing sensible."""
        if header is None:
            return None
        if header.isascii() and header.isdigit() and len(header) < 10:
            return min(float(header), _LONGEST_PAUSE)
        try:
            seconds = parsedate_to_datetime(header).timestamp() - self._clock()
        except (ValueError, OverflowError):
            return None
        return min(max(seconds, 0.0), _LONGEST_PAUSE)

    def _check_pause(self) -> None:
        """A server that told us to wait is not asked meanwhile."""
        left = self._silent_until - asyncio.get_running_loop().time()
        if left > 0:
            raise Unavailable("it told us to wait", retry_after=left)
