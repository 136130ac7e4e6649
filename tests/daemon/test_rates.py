"""Amounts in a currency: fixed at commit in each delivery, and the price as a metric."""

from __future__ import annotations

import csv
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, Place, fresh, log_has
from tests.stack.prices import Prices, priced
from tests.stack.processes import until
from tests.stack.receiver import Receiver
from watcher.app.rates import Rates
from watcher.config.settings import Fiat
from watcher.config.urls import parse_url
from watcher.core.fiat import Rate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.electrum import ToyElectrum

FIXED = '[fiat]\ncurrency = "EUR"\nkind = "fixed"\nrate = "80000.5"\n'


async def test_a_fixed_rate_stands_in_deliveries_and_metrics_and_in_no_event(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        async with place.daemon(place.config(extra=FIXED)) as daemon:
            await fresh(daemon)
            toy.chain.pay(ALPHA, 5_000_000)
            seen = await receiver.wait_for(lambda one: one.type == "tx.seen")
            fiat = seen.data["fiat"]
            assert (fiat["currency"], fiat["amount"], fiat["rate"]) == ("EUR", "4000.02", "80000.50")
            assert fiat["as_of"].endswith("Z")
            baselined = await receiver.wait_for(lambda one: one.type == "watch.baselined")
            assert baselined.data["fiat"] is None
            assert all("fiat" not in event["data"] for event in await daemon.events())
            assert await daemon.metric("watcher_bitcoin_price", currency="EUR") == 80000.5
            assert await daemon.metric("watcher_bitcoin_price_timestamp_seconds", currency="EUR") is not None


async def test_a_price_that_is_old_or_gone_is_told_in_no_message(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Receiver() as receiver, Prices() as prices:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        asking = f'[fiat]\ncurrency = "USD"\nkind = "mempool"\nurl = "{prices.url}"\n'
        async with place.daemon(place.config(extra=asking)) as daemon:
            await fresh(daemon)

            async def price() -> float | None:
                return await daemon.metric("watcher_bitcoin_price", currency="USD")

            assert await until(price, within=60, what="a price") == 43_753
            first = toy.chain.pay(ALPHA, 100_000_000)
            seen = await receiver.wait_for(lambda one: one.data.get("txid") == first)
            assert seen.data["fiat"]["amount"] == "43753.00"
            # a service that only has an old price: shown with its age, told in no message
            old = int(time.time()) - 7200
            prices.answer = priced({"USD": 50_000}, at=old)
            await daemon.restart()
            assert await until(price, within=60, what="a price") == 50_000
            assert await daemon.metric("watcher_bitcoin_price_timestamp_seconds", currency="USD") == old
            second = toy.chain.pay(ALPHA, 100_000_000)
            seen = await receiver.wait_for(lambda one: one.data.get("txid") == second)
            assert seen.data["fiat"] is None
            # one that asks for patience
            prices.status = 429
            await daemon.restart()
            await log_has(daemon, "the last one stays: status 429")
            assert prices.url not in daemon.child.log.read_text()
            assert await price() is None


async def test_the_history_is_valued_at_the_price_of_each_day(toy: ToyElectrum, tmp_path: Path) -> None:
    toy.chain.pay(ALPHA, 5_000_000)
    toy.chain.mine()
    async with Prices() as prices:
        place = Place(tmp_path, {"home": toy.url})
        asking = f'[fiat]\ncurrency = "USD"\nkind = "mempool"\nurl = "{prices.url}"\n'
        async with place.daemon(place.config(extra=asking)) as daemon:
            await fresh(daemon)

            async def valued() -> list[dict[str, str]]:
                text = (await daemon.command("history", "alpha", "--format", "csv")).out
                rows = [row for row in csv.DictReader(text.splitlines()) if row["txid"]]
                return rows if rows and rows[0]["fiat_rate"] else []

            (row,) = await until(valued, within=60, what="a row with its price")
            assert (row["fiat_currency"], row["fiat_rate"]) == ("USD", "2254.90")
            assert row["fiat_rate_time_utc"] == f"{row['block_time_utc'][:10]}T11:00:00.000Z"

            # every day is asked for, so that nobody learns on which the treasury moved; none twice
            async def several() -> bool:
                return len(past_days(prices)) >= 3

            await until(several, within=60, what="three days")
            first, *following = past_days(prices)
            assert [day - first for day in following][:2] == [86_400, 172_800]
            # kept: neither the service nor the daemon is needed for it
            await daemon.restart()
            await fresh(daemon)
            assert await daemon.terminate() == 0
            assert await valued() == [row]
            assert past_days(prices).count(first) == 1


def past_days(prices: Prices) -> list[int]:
    """The noons asked for, in their order, without the present day."""
    asked = [int(path.rpartition("=")[2]) for path in prices.asked if "historical" in path]
    return [second for second in asked if second < time.time() - 86_400]


async def test_a_fixed_rate_values_every_day_and_none_at_all_leaves_it_blank(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    toy.chain.pay(ALPHA, 5_000_000)
    toy.chain.mine()
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(place.config(extra=FIXED)) as daemon:
        await fresh(daemon)

        async def told() -> tuple[str, str, str]:
            text = (await daemon.command("history", "alpha", "--format", "csv")).out
            row = next(row for row in csv.DictReader(text.splitlines()) if row["txid"])
            return row["fiat_currency"], row["fiat_rate"], row["fiat_rate_time_utc"]

        assert await told() == ("EUR", "80000.50", "")
        daemon.config = place.config(listen=daemon.url.removeprefix("http://"))
        await daemon.restart()
        assert await told() == ("", "", "")


async def test_a_service_that_fails_leaves_the_last_price_until_it_is_an_hour_old() -> None:
    now = 1_795_521_600_000
    async with Prices() as prices:
        fiat = Fiat("USD", "mempool", parse_url(prices.url, ("http",)), None)
        rates = Rates(lambda: (fiat, now), lambda: now)
        prices.answer = priced({"USD": 43_753}, at=now // 1000)
        await rates.ask()
        for status in (429, 500):
            prices.status = status
            await rates.ask()
        assert rates.last == Rate("USD", Decimal(43_753), now)
        assert rates.at(now + 3_599_999) == rates.last
        assert rates.at(now + 3_600_000) is None


async def test_another_currency_takes_effect_with_a_reload(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Prices() as prices:
        place = Place(tmp_path, {"home": toy.url})
        async with place.daemon(place.config(extra=FIXED)) as daemon:
            asking = f'[fiat]\ncurrency = "USD"\nkind = "mempool"\nurl = "{prices.url}"\n'
            daemon.config = place.config(listen=daemon.url.removeprefix("http://"), extra=asking)
            daemon.write_config()
            assert (await daemon.command("reload")).code == 0

            async def price() -> float | None:
                return await daemon.metric("watcher_bitcoin_price", currency="USD")

            assert await until(price, within=60, what="a price in another currency") == 43_753
            assert await daemon.metric("watcher_bitcoin_price", currency="EUR") is None
