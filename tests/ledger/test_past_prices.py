"""Each day's price is asked for once it is over and kept; the present day's is kept until then."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.stack.prices import Prices
from tests.web.small_ledger import SmallLedger
from watcher.app.pricing import LOOK_SECONDS, Pricing
from watcher.config.settings import Fiat
from watcher.config.urls import parse_url
from watcher.ledger.prices import InForce, prices_of, put_in_force
from watcher.ledger.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@dataclass
class Setting:
    """A ledger with at most one transaction, a price service, and a clock that stands still."""

    ledger: SmallLedger
    service: Prices
    writer: Writer
    now: datetime = NOW
    pricing: Pricing = field(init=False)

    def __post_init__(self) -> None:
        fiat = Fiat("USD", "mempool", parse_url(self.service.url, ("http",)), None)
        self.pricing = Pricing(
            lambda: fiat, writer=self.writer, now_ms=lambda: int(self.now.timestamp() * 1000)
        )

    @property
    def asked(self) -> list[datetime]:
        return [datetime.fromtimestamp(int(p.rpartition("=")[2]), UTC) for p in self.service.asked]

    async def rate(self, day: str) -> Decimal | None:
        found = await self.writer.run(lambda c: prices_of(c, [day]).get(day))
        return None if found is None else found.rate


@asynccontextmanager
async def setting(folder: Path, first: datetime | None) -> AsyncIterator[Setting]:
    ledger = SmallLedger(folder)
    if first is not None:
        ledger.treasury("alpha", confirmed=1, pending=0, baselined=True)
        ledger.tx("alpha", "aa", (7, 0), "inflow", 1)
        ledger.sql("UPDATE transactions SET block_time = ?", int(first.timestamp()))
    writer = Writer(ledger.connection)
    async with Prices() as service:
        yield Setting(ledger, service, writer)
    await writer.close()


def noon(day: int) -> datetime:
    return datetime(2026, 11, day, 12, tzinfo=UTC)


async def test_the_present_day_first_then_the_past_each_once_and_the_present_again_when_over(
    tmp_path: Path,
) -> None:
    async with setting(tmp_path, datetime(2026, 11, 22, 23, 59, tzinfo=UTC)) as s:
        s.service.past = lambda second: [{"time": second - 60, "USD": second}]
        for _ in range(5):
            await s.pricing.fill()
        assert s.asked == [NOW, noon(22), noon(23)]
        assert await s.rate("2026-11-24") == int(NOW.timestamp())
        s.now += timedelta(days=1)
        await s.pricing.fill()
        assert s.asked[3:] == [noon(24)]
        assert await s.rate("2026-11-24") == int(noon(24).timestamp())
        assert await s.rate("2026-11-21") is None


async def test_a_day_the_service_does_not_know_is_not_asked_for_again(tmp_path: Path) -> None:
    async with setting(tmp_path, noon(23)) as s:
        s.service.past = lambda _: [{"time": 0, "USD": -1}]
        for _ in range(4):
            await s.pricing.fill()
        assert s.asked == [NOW, noon(23)]
        assert await s.rate("2026-11-23") is None


async def test_a_service_that_asks_for_patience_gets_it(tmp_path: Path) -> None:
    async with setting(tmp_path, noon(23)) as s:
        s.service.status = 429
        assert [await s.pricing.fill() for _ in range(3)] == [LOOK_SECONDS] * 3
        assert s.asked == [NOW]


async def test_nobody_is_asked_while_there_is_no_transaction(tmp_path: Path) -> None:
    async with setting(tmp_path, None) as s:
        assert await s.pricing.fill() == LOOK_SECONDS
        assert s.asked == []


async def test_another_currency_is_another_price(tmp_path: Path) -> None:
    async with setting(tmp_path, noon(23)) as s:
        for _ in range(2):
            await s.pricing.fill()
        assert await s.rate("2026-11-23") == Decimal("2254.9")
        await s.writer.run(lambda c: put_in_force(c, InForce("EUR", None)))
        assert await s.rate("2026-11-23") is None
