"""Limits and claims, told by a running daemon once each, and shown as metrics."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, Place, fresh
from tests.stack.processes import until
from tests.stack.receiver import Receiver
from tests.toy.chain import FAUCET

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

LIMITS = """
[[rules]]
name = "low"
on = ["balance_below"]
treasuries = ["alpha"]
btc = "0.001"
severity = "critical"
send_to = ["ops"]

[[rules]]
name = "lower"
on = ["balance_below"]
treasuries = ["alpha"]
btc = "0.0005"
send_to = ["ops"]

[[rules]]
name = "claims"
on = ["claim_mismatch"]
send_to = ["ops"]
"""


def claim(name: str, btc: str, **more: str) -> str:
    lines = {
        "id": name,
        "says": "at_least",
        "btc": btc,
        "as_of": "2025-07-18",
        "by": "A paper",
        "role": "press",
    }
    told = "\n".join(
        f"{key} = {value if key in {'as_of', 'standing'} else json.dumps(value)}"
        for key, value in (lines | more).items()
    )
    return f"[[treasuries.claims]]\n{told}\n"


def with_claims(config: str, *claims: str) -> str:
    """The config, with claims about its first treasury."""
    marked = 'label = "main"\n'
    assert marked in config
    return config.replace(marked, marked + "".join(claims))


async def told(daemon: Daemon, kind: str, count: int) -> list[dict[str, Any]]:
    """The events whose type begins so, as soon as there are so many."""

    async def enough() -> list[dict[str, Any]]:
        found = [event for event in await daemon.events() if event["type"].startswith(kind)]
        return found if len(found) >= count else []

    return await until(enough, within=60, what=f"{count} events of {kind}")


async def test_limits_are_told_once_each_to_whom_their_rule_names(toy: ToyElectrum, tmp_path: Path) -> None:
    toy.chain.pay(ALPHA, 100_000)
    toy.chain.mine()
    async with Receiver() as receiver:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        async with place.daemon(place.config(extra=LIMITS)) as daemon:
            await fresh(daemon)
            assert await daemon.metric("watcher_condition_active", condition="balance_below") == 0
            # from 100,000 to 60,000: below the first limit, not the second
            (coin,) = toy.chain.unspent(ALPHA)
            toy.chain.spend([coin], [(ALPHA, 60_000), (FAUCET, 40_000)])
            toy.chain.mine()
            (crossed,) = await told(daemon, "balance.", 1)
            data = crossed["data"]
            assert crossed["type"] == "balance.crossed"
            assert (data["condition"], data["rule"], data["treasury"]) == ("balance_below", "low", "alpha")
            assert (data["threshold_sats"], data["observed_sats"]) == (100_000, 60_000)

            async def is_active() -> bool:
                return await daemon.metric("watcher_condition_active", condition="balance_below") == 1

            # the scrape before this one may be a moment old, and a scrape is kept for a second
            await until(is_active, within=60, what="the limit among the metrics")
            # back to the limit itself is not enough, and a restart tells nothing again
            toy.chain.pay(ALPHA, 40_000)
            toy.chain.mine()
            await told(daemon, "tx.confirmed", 2)
            await daemon.restart()
            await fresh(daemon)
            toy.chain.pay(ALPHA, 1_000)
            toy.chain.mine()
            events = await told(daemon, "balance.", 2)
            assert [event["type"] for event in events] == ["balance.crossed", "balance.restored"]
            assert events[0]["data"]["incident"] == events[1]["data"]["incident"]
            sent = await receiver.wait_for(lambda one: one.type == "balance.restored")
            assert (sent.data["rules"], sent.data["severity"]) == (["low"], "critical")


async def test_a_balance_that_starts_on_the_wrong_side_is_told(toy: ToyElectrum, tmp_path: Path) -> None:
    place = Place(tmp_path, {"home": toy.url})
    limits = LIMITS.replace('"balance_below"', '"balance_below", "balance_above"', 1)
    async with place.daemon(place.config(extra=limits)) as daemon:
        events = await told(daemon, "balance.", 2)
        # an empty treasury is below both limits and above none
        assert [e["data"]["rule"] for e in events] == ["low", "lower"]
        assert {e["data"]["condition"] for e in events} == {"balance_below"}
        baselined = [e["data"]["sequence"] for e in await daemon.events() if e["type"] == "watch.baselined"]
        assert min(baselined) < events[0]["data"]["sequence"]
        # a rule that is gone leaves nothing standing
        daemon.config = place.config(listen=daemon.url.removeprefix("http://"))
        daemon.write_config()
        assert (await daemon.command("reload")).code == 0

        async def none_active() -> bool:
            return await daemon.metric("watcher_condition_active", condition="balance_below") is None

        await until(none_active, within=60, what="no limit")


async def test_a_notice_of_a_limit_waits_as_long_as_its_rule_says(toy: ToyElectrum, tmp_path: Path) -> None:
    place = Place(tmp_path, {"home": toy.url})
    limits = LIMITS.replace('btc = "0.001"', 'btc = "0.001"\nfor = "1h"')
    async with place.daemon(place.config(extra=limits)) as daemon:
        await told(daemon, "balance.", 2)
        owed = (await daemon.get("/api/v1/deliveries")).json()["deliveries"]
        crossed = [each for each in owed if each["type"] == "balance.crossed"]
        # nobody listens, so the one that is due has been put off by now, though not for so long
        waits = sorted(_seconds(each["due"]) - _seconds(each["created"]) for each in crossed)
        assert len(waits) == 2
        assert waits[0] < waits[1] == 3600


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


async def test_a_standing_claim_is_told_once_when_it_breaks_and_once_when_it_holds_again(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    toy.chain.pay(ALPHA, 624_000)
    toy.chain.mine()
    place = Place(tmp_path, {"home": toy.url})
    claims = (
        claim("standing", "0.00624", standing="true"),
        claim("one", "0.00624"),
        claim("two", "0.00625", by='A "paper"'),
        claim("three", "0.00626"),
        claim("more", "0.1", standing="true", covers="everything"),
    )
    async with place.daemon(with_claims(place.config(extra=LIMITS), *claims)) as daemon:
        await fresh(daemon)

        async def holds() -> bool:
            return await daemon.metric("watcher_treasury_claim_holds", claim="standing") == 1

        await until(holds, within=60, what="a claim that holds")
        for sats, count in ((600_000, 1), (624_000, 2)):
            coins = toy.chain.unspent(ALPHA)
            if sats < 624_000:
                toy.chain.spend(coins, [(ALPHA, 600_000), (FAUCET, 24_000)])
            else:
                toy.chain.pay(ALPHA, 24_000)
            toy.chain.mine()
            await told(daemon, "claim.", count)
        await daemon.restart()
        await fresh(daemon)
        await until(holds, within=60, what="a claim that holds again")
        events = await told(daemon, "claim.", 2)
        assert [(e["type"], e["data"]["claim"]) for e in events] == [
            ("claim.mismatched", "standing"),
            ("claim.matched", "standing"),
        ]
        assert (
            events[0]["data"]
            | {
                "condition": "claim",
                "treasury": "alpha",
                "claimed_sats": 624_000,
                "observed_sats": 600_000,
            }
            == events[0]["data"]
        )
        # a series for each of five claims, and none that says what is not known
        text = await daemon.metrics()
        assert text.count("\nwatcher_treasury_claim_info{") == 5
        assert text.count("\nwatcher_treasury_claim_satoshis{") == 5
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        assert len(series) == len(set(series))
        assert await daemon.metric("watcher_treasury_claim_holds", claim="one") is None
        assert await daemon.metric("watcher_treasury_claim_holds", claim="more") is None
        assert await daemon.metric("watcher_treasury_claim_observed_satoshis", claim="more") == 624_000
