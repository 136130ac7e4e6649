"""The rate at which amounts are also told: the config's own, or the last that a price service gave."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from watcher.core.fiat import Rate
from watcher.service.fiat import NoPriceError, latest_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from watcher.config.settings import Fiat

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 2.0  # for another config
MAX_AGE_MS: Final = 3_600_000  # an older rate is shown with its age by /metrics, and told in no message


class Rates:
    """What a bitcoin costs; `config` gives the section in force and when it was accepted."""

    def __init__(self, config: Callable[[], tuple[Fiat | None, int]], now_ms: Callable[[], int]) -> None:
        self._config = config
        self._now_ms = now_ms
        self._asked: Fiat | None = None  # whom the last rate is of
        self._last: Rate | None = None

    @property
    def last(self) -> Rate | None:
        """The last rate known, however old."""
        fiat, accepted_ms = self._config()
        if fiat is None:
            return None
        if fiat.rate is not None:
            return Rate(fiat.currency, Decimal(fiat.rate), accepted_ms)
        return self._last if fiat == self._asked else None

    def at(self, at_ms: int) -> Rate | None:
        """The rate for a message of that instant; a fixed one does not age."""
        fiat, _ = self._config()
        last = self.last
        if fiat is None or last is None:
            return None
        return last if fiat.rate is not None or at_ms - last.as_of_ms < MAX_AGE_MS else None

    async def run(self) -> NoReturn:
        """Ask every few minutes, and at once when another config is in force."""
        loop = asyncio.get_running_loop()
        ask_at = 0.0
        while True:
            fiat, _ = self._config()
            if fiat != self._asked or loop.time() >= ask_at:
                await self.ask()
                ask_at = loop.time() + ASK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)

    async def ask(self) -> None:
        """Ask the service of the config in force, if there is one; without an answer the last one stays."""
        fiat, _ = self._config()
        if fiat != self._asked:
            self._asked, self._last = fiat, None
        if fiat is None or fiat.url is None:
            return
        try:
            rate = await latest_rate(fiat.url.reveal(), fiat.currency, self._now_ms())
            if self._asked == fiat:
                self._last = rate
        except NoPriceError as error:
            log.warning("no price from %s, the last one stays: %s", fiat.url, error)
