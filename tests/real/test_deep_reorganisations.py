"""Reorganisations as deep as an Electrum server follows, with the coins paid to strangers, and back again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.checks import add_up
from tests.real.setting import setting
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.setting import Setting
    from tests.stack.receiver import Received
    from tests.stack.regtest import Regtest


async def story(here: Setting, txid: str) -> list[str]:
    """What the log says of a transaction's incident, in order."""
    events = await here.daemon.events()
    incident = next(e["data"]["incident"] for e in events if e["data"].get("txid") == txid)
    return [e["type"] for e in events if e["data"]["incident"] == incident]


async def becomes(here: Setting, txid: str, *types: str) -> None:
    """Until that is its story: the sums are right before all of it is told."""

    async def told() -> bool:
        return await story(here, txid) == list(types)

    with suppress(TimeoutError):  # the difference says more
        await until(told, within=120, what="the story")
    assert await story(here, txid) == list(types)


async def received(here: Setting, event_type: str, *txids: str) -> list[Received]:
    """The webhooks that tell this of each of them, past or coming."""
    return [
        await here.receiver.wait_for(
            lambda r, txid=txid: r.type == event_type and r.data["txid"] == txid, within=120
        )
        for txid in txids
    ]


async def last(here: Setting, event_type: str) -> dict[str, Any]:
    found: dict[str, Any] = [e for e in await here.daemon.events() if e["type"] == event_type][-1]["data"]
    return found


async def agrees(here: Setting, treasury: str) -> bool:
    addresses = here.treasuries[treasury]
    confirmed = await here.regtest.chain.utxo_total(addresses)
    return add_up(await here.daemon.events()).get(treasury, (0, 0))[0] == confirmed


@pytest.mark.parametrize("depth", [100, 199])
async def test_coins_double_spent_to_strangers_by_a_deep_branch_and_back_again(
    shared_regtest: Regtest, tmp_path: Path, depth: int
) -> None:
    chain, node = shared_regtest.chain, shared_regtest.node
    await chain.mine(depth)
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        ours = here.treasuries["alpha"][0]
        await chain.fund(ours, 2_000_000)
        await chain.mine()
        inflow = await chain.fund(here.treasuries["alpha"][1], 3_000_000)
        outflow = await chain.sweep(ours, await chain.stranger())
        # a block that comes sooner would make it another story
        await received(here, "tx.seen", inflow, outflow)
        rivals = [await chain.draft_replacement(t, to=await chain.stranger()) for t in (inflow, outflow)]
        (old_first, *_) = await chain.mine(depth)
        await until(lambda: agrees(here, "alpha"), within=180, what="the first branch to be counted")
        await here.caught_up()
        before = ("tx.seen", "tx.confirmed", "tx.final")
        for txid in (inflow, outflow):
            await becomes(here, txid, *before)

        (new_first, *_) = await chain.reorg(depth, raw=[rival.raw for rival in rivals])
        await until(lambda: agrees(here, "alpha"), within=180, what="the rival branch to be counted")
        await here.caught_up()
        told = await last(here, "chain.reorganized")
        assert told["depth"] == depth
        undone = ("tx.unconfirmed", "tx.conflicted")
        await becomes(here, inflow, *before, *undone)
        await becomes(here, outflow, *before, *undone, "tx.confirmed", "tx.final")
        assert (await last(here, "tx.conflicted"))["by"] in {rival.txid for rival in rivals}
        reversed_ones = await received(here, "tx.unconfirmed", inflow, outflow)
        assert {r.data["severity"] for r in reversed_ones} == {"critical"}  # what was final is reversed

        await node.rpc("invalidateblock", new_first)
        await node.rpc("reconsiderblock", old_first)
        await chain.mine(2)  # the old branch is the heavier one again
        await until(lambda: agrees(here, "alpha"), within=180, what="the first branch to be counted again")
        await becomes(here, inflow, *before, *undone, "tx.confirmed", "tx.final")
        assert (await last(here, "chain.reorganized"))["depth"] == depth + 1
        assert (await here.daemon.command("verify")).code == 0


async def test_an_equal_branch_tells_nothing_until_it_is_the_heavier_one(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        txid = await chain.fund(here.treasuries["beta"][0], 400_000)
        await received(here, "tx.seen", txid)
        await chain.mine()
        await until(lambda: agrees(here, "beta"), within=120, what="the first branch to be counted")
        await chain.reorg(1, keep=[txid], longer=0)
        later = await chain.fund(here.treasuries["beta"][1], 50_000)  # something to wait for
        await received(here, "tx.seen", later)
        types = [e["type"] for e in await here.daemon.events()]
        assert "chain.reorganized" not in types
        await chain.mine()
        await until(lambda: agrees(here, "beta"), within=120, what="the heavier branch to be counted")
        await becomes(here, txid, "tx.seen", "tx.confirmed", "tx.moved")
