"""What a ring costs at the ledger: each look is a way to its thread and back, and an alarm waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pool.rig import electrum, pool
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.keys import Key


async def test_an_inflow_is_told_with_the_fifth_look_and_costs_two_more(
    chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    chain.pay(key.script, 50_000)
    chain.mine()
    statements: list[str] = []
    async with (
        ToyElectrum(chain) as server,
        pool(tmp_path, electrum({"a": server}), [key.script], wanted=1) as here,
    ):
        await here.baselined()
        rounds = here.watch.rounds
        here.connection.set_trace_callback(statements.append)
        chain.pay(key.script, 60_000)
        await here.happens(lambda: here.watch.rounds > rounds and here.watch.idle, "the end of the round")
        here.connection.set_trace_callback(None)
        assert here.told("tx.seen")
    told = next(at for at, one in enumerate(statements) if one.startswith("INSERT INTO events"))
    # is it known, are its parents, what was on the script, who else spends its coins; and the commit
    assert statements[:told].count("BEGIN IMMEDIATE") == 5
    # what is unsettled now, and whether the history lacks what is proven
    assert statements[told:].count("BEGIN IMMEDIATE") == 2
