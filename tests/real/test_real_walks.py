"""Done-when 2 to 5 of the first milestone: random lives of two treasuries on a real node."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.record import Record
from tests.real.checks import add_up, check_against_node, check_ids
from tests.real.setting import setting
from tests.real.walk import Walk
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.setting import Setting
    from tests.stack.regtest import Regtest

DEFAULT_RUNGS = """
[[rules]]
name = "coins"
on = ["any"]
at = ["seen", "final"]
severity = "warning"
send_to = ["ops"]
"""
STEPS = 300
KILLS, MANY_KILLS = 30, 100


async def agreed(here: Setting, *, pending: bool) -> None:
    """Until the log's sums are the node's; the last difference is what a failure shows."""
    await here.caught_up()
    deadline = asyncio.get_running_loop().time() + 120
    while True:
        try:
            return await check_against_node(here, pending=pending)
        except AssertionError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.05)


async def test_after_each_block_of_a_random_walk_the_balances_are_the_nodes(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        walk = Walk(here, random.Random(7))
        await shared_regtest.chain.mine(8)
        for _ in range(STEPS):
            await walk.step()
            if walk.blocks:
                walk.blocks = 0
                await agreed(here, pending=False)
        await agreed(here, pending=True)
        sums = add_up(await check_ids(here))
        verified = await here.daemon.command("verify")
        assert verified.code == 0, verified
        async with setting(shared_regtest, tmp_path / "fresh", treasuries=here.treasuries) as fresh:

            async def the_same() -> bool:
                return add_up(await fresh.daemon.events()) == sums

            await until(the_same, within=120, what=f"the sums of a fresh daemon to be {sums}")


@pytest.mark.parametrize("kills", [KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.fuzz)])
async def test_nothing_is_lost_by_kills(shared_regtest: Regtest, tmp_path: Path, kills: int) -> None:
    rng = random.Random(11)
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        walk = Walk(here, random.Random(12))
        record = Record(here.daemon.directory / "state", here.receiver)
        for _ in range(kills):
            for _ in range(rng.randint(1, 4)):
                await walk.step()
            await asyncio.sleep(rng.random())  # nothing is waited for: the moment of death is drawn
            here.daemon.kill()
            record.look()
            await walk.step()
            await here.daemon.start()
        await agreed(here, pending=True)
        events = await check_ids(here)
        await until(lambda: delivered(here, events), within=120, what="every event to reach the receiver")
        assert (await here.daemon.command("verify")).code == 0
    print(f"{kills} kills: {len(events)} events, 0 lost; {len(here.receiver.verified)} webhooks")


async def delivered(here: Setting, events: list[dict[str, Any]]) -> bool:
    """The rules send every event, so the receiver has every id of the log."""
    got = {received.data["id"] for received in here.receiver.received}
    return {event["data"]["id"] for event in events} <= got


async def test_what_happened_while_it_was_stopped_is_told_once_and_late(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with setting(shared_regtest, tmp_path / "daemon", rules=DEFAULT_RUNGS) as here:
        ours = here.treasuries["alpha"]
        await here.daemon.terminate()
        told: set[str] = set()
        for block in range(20):
            told.add(await chain.fund(ours[block % len(ours)], 100_000 + block))
            if block % 4 == 3:
                told.add(await chain.spend(ours[block % len(ours)], await chain.stranger(), 20_000))
            await chain.mine(1)
        await here.daemon.start()
        await agreed(here, pending=True)
        await until(lambda: got(here, told), within=120, what="each to be told")
        # a delivery that it has not written down when it ends is rightly made again
        await until(lambda: written_down(here, told), within=60, what="each delivery to be recorded")
        requests = len(here.receiver.received)
        await here.daemon.restart()
        await agreed(here, pending=True)
        assert len(here.receiver.received) == requests
        # by id: a request whose answer came too late was made again
        deliveries = {r.id: r for r in here.receiver.received if r.data.get("txid") in told}.values()
        assert sorted(r.data["txid"] for r in deliveries) == sorted(told)  # each once
        assert all(r.data["detected_late"] for r in deliveries)
        assert {r.data["trust"] for r in deliveries} == {"proven"}


async def got(here: Setting, txids: set[str]) -> bool:
    return txids <= {r.data.get("txid") for r in here.receiver.received}


async def written_down(here: Setting, txids: set[str]) -> bool:
    """As many deliveries as transactions are done in the daemon's books."""
    delivered = await here.daemon.metric("watcher_deliveries_total", endpoint="ops", outcome="delivered")
    return delivered is not None and delivered >= len(txids)


async def test_a_transaction_never_seen_unconfirmed_alerts_at_the_rung_seen(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    rules = DEFAULT_RUNGS.replace('["seen", "final"]', '["seen"]')
    async with setting(shared_regtest, tmp_path / "daemon", rules=rules) as here:
        draft = await chain.draft_fund(here.treasuries["alpha"][0], 250_000)
        await chain.mine_with_raw(draft)
        told = await here.receiver.wait_for(lambda r: r.data.get("txid") == draft.txid)
        assert (told.type, told.data["step"], told.data["flow"]) == ("tx.confirmed", "confirmed", "inflow")
        assert told.data["detected_late"] is False
