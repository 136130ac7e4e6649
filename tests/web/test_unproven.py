"""What is no fact, told as such by a daemon: each source's own figure in a first reading, and candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.places import ALPHA, Place, fresh
from tests.stack.processes import free_port, until
from tests.toy.chain import ToyChain
from tests.toy.coding import Tx
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.types import Outpoint, Txid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon

pytestmark = pytest.mark.slow


def two_must_agree(place: Place) -> str:
    return place.config().replace("sources = 1", "sources = 2")


async def told(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = (await daemon.get("/api/v1/treasuries/alpha")).json()
    return found


async def test_while_one_source_is_silent_the_others_figure_is_its_own_and_no_balance(tmp_path: Path) -> None:
    chain = ToyChain()
    chain.pay(ALPHA, 30_000)
    chain.pay(ALPHA, 12_000)
    chain.mine()
    async with ToyElectrum(chain) as home:
        place = Place(tmp_path, {"home": home.url, "away": f"tcp://127.0.0.1:{free_port()}"})
        async with place.daemon(two_must_agree(place)) as daemon:

            async def has_spoken() -> bool:
                return (await told(daemon))["first_reading"][0]["read"] == 1

            await until(has_spoken, within=60, what="the figure of the source that answers")
            shown = await told(daemon)
            assert shown["first_reading"] == [
                {"source": "home", "read": 1, "scripts": 1, "unproven_sats": 42_000},
                {"source": "away", "read": 0, "scripts": 1, "unproven_sats": 0},
            ]
            assert (shown["balance_sats"], shown["fresh"]) == (None, False)
            assert await daemon.metric("watcher_treasury_balance_satoshis", treasury="alpha") is None
            page = (await daemon.get("/treasuries/alpha")).body.decode()
            assert "unproven, by its own word alone" in page
            assert "0.00042000" in page


async def test_what_one_source_alone_shows_is_a_candidate_in_no_figure(tmp_path: Path) -> None:
    chain = ToyChain()
    async with ToyElectrum(chain) as home, ToyElectrum(chain) as other:
        place = Place(tmp_path, {"home": home.url, "other": other.url})
        async with place.daemon(two_must_agree(place)) as daemon:
            await fresh(daemon)
            assert (await told(daemon))["first_reading"] == []
            fake = Tx((Outpoint(Txid("5a" * 32), 0),), ((ALPHA, 77_000),))
            home.fake_unconfirmed(fake)

            async def is_shown() -> bool:
                return bool((await told(daemon))["candidates"])

            await until(is_shown, within=60, what="the candidate")
            shown = await told(daemon)
            assert shown["candidates"] == [{"txid": fake.txid, "amount_sats": 77_000, "sources": ["home"]}]
            assert shown["balance_sats"] == {"confirmed": 0, "pending": 0}
            assert fake.txid in (await daemon.get("/treasuries/alpha")).body.decode()
            assert {event["type"] for event in await daemon.events()} == {"watch.baselined"}
