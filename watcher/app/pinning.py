"""Keys of servers that are trusted on first use: kept in the ledger, exchanged by an operator alone."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watcher.ledger.pins import FIRST_USE, OPERATOR, pin, unpin
from watcher.sources.dial import FirstUse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.ledger.writer import Writer

log = logging.getLogger(__name__)


class Pinning:
    """What each such source is known by; `remembered` are the keys that the ledger has."""

    def __init__(
        self,
        current: Current,
        remembered: Mapping[str, bytes],
        *,
        writer: Writer,
        deliveries: Deliveries,
        now_ms: Callable[[], int],
    ) -> None:
        self._current = current
        self._remembered = remembered
        self._writer = writer
        self._deliveries = deliveries
        self._now_ms = now_ms
        self._keys: dict[str, FirstUse] = {}
        self._met: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def key_of(self, source: str) -> FirstUse:
        """The key by which the source is known, if any yet; who connects fills it in."""
        known = self._remembered.get(source)
        self._keys[source] = FirstUse(known, lambda fingerprint: self._met.put_nowait((source, fingerprint)))
        return self._keys[source]

    def known_by(self, source: str) -> str | None:
        """The key of a source that is trusted on first use, as `sha256:…`; None before the first use."""
        key = self._keys.get(source)
        return None if key is None or key.fingerprint is None else f"sha256:{key.fingerprint.hex()}"

    async def run(self) -> NoReturn:
        """Write down each key that is met for the first time; never returns."""
        while True:
            source, fingerprint = await self._met.get()
            log.warning("key met for the first time: sha256:%s", fingerprint.hex(), extra={"source": source})
            await self._pin(source, fingerprint, FIRST_USE)

    async def trust(self, source: str, fingerprint: bytes | None) -> bool:
        """Know the source by this key, or by the next it shows; False where it is not known by its key."""
        key = self._keys.get(source)
        if key is None:
            return False
        if fingerprint is None:
            await self._writer.run(lambda c: unpin(c, source))
        else:
            await self._pin(source, fingerprint, OPERATOR)
        key.fingerprint = fingerprint
        return True

    async def _pin(self, source: str, fingerprint: bytes, reason: str) -> None:
        settings, at_ms = self._current.now.settings, self._now_ms()
        told = await self._writer.run(lambda c: pin(c, settings, source, fingerprint, reason, at_ms))
        for endpoint in told.endpoints:
            self._deliveries.ring(endpoint)
