"""Fills in what a bitcoin cost on the days of the history.

Every day is asked for, from that of the first transaction on, whether or not something happened on it:
whoever answers must not learn on which days a treasury moved.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from watcher.ledger.prices import InForce, Kept, first_day, keep_price, kept_prices, put_in_force
from watcher.service.fiat import NoPriceError, UnknownPriceError, rate_of_day

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import NoReturn

    from watcher.config.settings import Fiat
    from watcher.core.fiat import Rate
    from watcher.ledger.writer import Writer

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 1.0  # between two days: five years take half an hour, and nobody is overrun
REST_SECONDS: Final = 300.0  # after no answer, and between two looks at the present day
LOOK_SECONDS: Final = 10.0  # for a first transaction, or another config
_DAY: Final = timedelta(days=1)
_CHUNK: Final = 200  # days looked up at a time


class Pricing:
    """`config` gives the section in force."""

    def __init__(
        self, config: Callable[[], Fiat | None], *, writer: Writer, now_ms: Callable[[], int]
    ) -> None:
        self._config = config
        self._writer = writer
        self._now_ms = now_ms
        self._fiat: Fiat | None = None
        self._begun = False
        self._before: date | None = None  # every day before this one is settled
        self._rest_until = 0.0
        self._today_at = 0.0

    async def run(self) -> NoReturn:
        """Ask, for ever."""
        while True:
            seconds = await self.fill()
            await asyncio.sleep(seconds)

    async def fill(self) -> float:
        """Ask for the next day that is not settled; in how many seconds to do it again."""
        await self._take_up()
        fiat = self._fiat
        loop = asyncio.get_running_loop()
        if fiat is None or fiat.url is None or loop.time() < self._rest_until:
            return LOOK_SECONDS
        now = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        turn = loop.time() >= self._today_at
        day = await self._writer.run(lambda c: self._next(c, fiat.currency, now.date(), is_todays_turn=turn))
        if day is None:
            return LOOK_SECONDS
        noon = datetime.combine(day, time(12), UTC)
        settled = day < now.date()
        rate: Rate | None = None
        try:
            rate = await rate_of_day(fiat.url.reveal(), fiat.currency, int(min(noon, now).timestamp()))
        except UnknownPriceError:
            pass  # nor will it be known later
        except NoPriceError as error:
            log.warning("no price of %s from %s: %s", day, fiat.url, error)
            self._rest_until = loop.time() + REST_SECONDS
            return LOOK_SECONDS
        await self._writer.run(lambda c: keep_price(c, fiat.currency, day.isoformat(), Kept(rate, settled)))
        if not settled:
            self._today_at = loop.time() + REST_SECONDS
        return ASK_SECONDS

    def _next(
        self, connection: sqlite3.Connection, currency: str, today: date, *, is_todays_turn: bool
    ) -> date | None:
        """The present day in its turn, else the first not settled; None: nothing to ask for."""
        begin = self._before or first_day(connection)
        if begin is None:
            return None
        if is_todays_turn:
            return today
        while begin < today:
            days = [begin + n * _DAY for n in range(min(_CHUNK, (today - begin).days))]
            kept = kept_prices(connection, currency, [day.isoformat() for day in days])
            for day in days:
                found = kept.get(day.isoformat())
                if found is None or not found.settled:
                    self._before = day
                    return day
            self._before = begin = days[-1] + _DAY
        return None

    async def _take_up(self) -> None:
        """Value the history as the config says now."""
        fiat = self._config()
        if self._begun and fiat == self._fiat:
            return
        in_force = None if fiat is None else InForce(fiat.currency, fiat.rate)
        await self._writer.run(lambda c: put_in_force(c, in_force))
        self._begun, self._fiat, self._before = True, fiat, None
        self._rest_until = self._today_at = 0.0
