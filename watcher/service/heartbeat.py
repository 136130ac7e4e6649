"""The heartbeat: a ping to a service outside that notices when this daemon falls silent.

It goes out while everything in here gets on, and not because a timer ran. The URLs are secrets: they are
read afresh for each ping, so that a rotated file counts at once, and only scheme and host are ever logged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import aiohttp

from watcher.config.build import WEB_SCHEMES
from watcher.config.credentials import SecretProblem, read_url
from watcher.delivery.http import CONNECT_SECONDS, TOTAL_SECONDS, USER_AGENT, reason_of
from watcher.delivery.targets import gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import NoReturn

    from watcher.config.credentials import UrlReference
    from watcher.config.settings import Heartbeat as HeartbeatConfig

log = logging.getLogger(__name__)

OFF_SECONDS: Final = 5.0  # how often a reload is looked for that turns it on
CHECK_SECONDS: Final = 20.0  # a part that does not answer within this does not get on
REASON_BYTES: Final = 4_096


class Heartbeat:
    """Pings by the config in force (None: nobody), and calls `reached` when the URL took one.

    `stuck` gives the reasons why the daemon itself does not get on: then the URL is not pinged. `unwell`
    gives those for which somebody is needed although it does. Either way the fail URL, where there is one,
    is pinged with the reasons and instead of the URL: at most services the two are one check, which must
    not flap.
    """

    def __init__(
        self,
        config: Callable[[], HeartbeatConfig | None],
        environ: Mapping[str, str],
        *,
        stuck: Callable[[], Awaitable[Sequence[str]]],
        unwell: Callable[[], Awaitable[Sequence[str]]],
        reached: Callable[[], None],
    ) -> None:
        self._config = config
        self._environ = environ
        self._stuck = stuck
        self._unwell = unwell
        self._reached = reached
        self._said: str | None = None

    async def run(self) -> NoReturn:
        """Ping, for ever."""
        while True:
            config = self._config()
            if config is not None:
                await self.beat(config)
            await asyncio.sleep(OFF_SECONDS if config is None else config.every)

    async def beat(self, config: HeartbeatConfig) -> None:
        """One ping: to the URL, or to the fail URL with the reasons, or to nobody."""
        reasons = await _asked(self._stuck)
        if not reasons and config.fail_url is not None:
            reasons = await _asked(self._unwell)
        if not reasons:
            if await self._ping(config.url):
                self._reached()
        elif config.fail_url is not None:
            await self._ping(config.fail_url, "\n".join(reasons))
        else:
            self._say("no heartbeat is sent: " + "; ".join(reasons))

    async def _ping(self, reference: UrlReference, reason: str | None = None) -> bool:
        """Whether it was taken: a GET, or a POST whose body is the reason."""
        try:
            url = read_url(reference, schemes=WEB_SCHEMES, environ=self._environ)
        except SecretProblem as unusable:
            self._say(f"the heartbeat cannot be sent: {unusable}")
            return False
        problem = await _request(url.reveal(), reason)
        if problem is not None:
            self._say(f"the heartbeat did not reach {url}: {problem}")
            return False
        self._say(None if reason is None else f"{url} was told: {reason}")
        return True

    def _say(self, text: str | None) -> None:
        """Once for as long as it stays so."""
        if text == self._said:
            return
        if text is None:
            log.info("the heartbeat is taken again")
        else:
            log.warning("%s", text)
        self._said = text


async def _asked(question: Callable[[], Awaitable[Sequence[str]]]) -> Sequence[str]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await question()
    except TimeoutError:
        return ("the ledger does not answer",)


async def _request(url: str, reason: str | None) -> str | None:
    """None when the answer is 2xx, else why not, in our words."""
    connector = aiohttp.TCPConnector(socket_factory=gate(allow_private=True), force_close=True)
    timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS)
    body = None if reason is None else reason.encode()[:REASON_BYTES]
    headers = {"user-agent": USER_AGENT} | (
        {} if body is None else {"content-type": "text/plain; charset=utf-8"}
    )
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.request(
                "GET" if body is None else "POST", url, data=body, headers=headers, allow_redirects=False
            ) as response,
        ):
            # the status is the whole answer: its body is not read
            return None if 200 <= response.status < 300 else f"HTTP status {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
        return str(reason_of(error))
