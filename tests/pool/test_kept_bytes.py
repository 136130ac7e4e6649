"""What is in a block is kept without its witnesses: nobody is blamed when a branch takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.pool.rig import electrum, pool
from tests.toy.electrum import ToyElectrum
from tests.toy.keys import Key, SegwitKey
from watcher.observe.proving import fetch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain

STRANGER = b"\x52\x20" + b"\x77" * 32
SATS = 50_000
Servers: TypeAlias = dict[str, ToyElectrum]
EITHER = pytest.mark.parametrize(
    "key", [pytest.param(Key(7), id="legacy"), pytest.param(SegwitKey(7, SATS), id="segwit")]
)


def two(servers: Servers) -> Servers:
    return {name: servers[name] for name in ("a", "b")}


@EITHER
async def test_a_spend_that_a_branch_takes_back_is_told_and_nobody_is_blamed(
    key: Key | SegwitKey, servers: Servers, chain: ToyChain, tmp_path: Path
) -> None:
    chain.pay(key.script, SATS)
    chain.mine()
    async with pool(tmp_path, electrum(two(servers)), [key.script]) as here:
        await here.baselined()
        (coin,) = chain.unspent(key.script)
        spend = key.spend(coin, [(STRANGER, SATS - 1_000)])
        chain.know(spend)
        chain.mine(1, [spend.txid])
        await here.happens(lambda: here.balance == (0, 0), "the outflow")
        chain.reorg(1)
        await here.happens(lambda: here.balance == (SATS, -SATS), "the outflow out of its block")
        for _ in range(2):
            await here.sweep()
        assert here.balance == (SATS, -SATS)
        assert not here.watch.conduct.strikes
        chain.mine(1, [spend.txid])
        await here.happens(lambda: here.balance == (0, 0), "the outflow in another block")
        assert not here.watch.conduct.strikes


@EITHER
async def test_a_spend_with_a_false_signature_is_a_strike_and_a_right_one_is_told(
    key: Key | SegwitKey, servers: Servers, chain: ToyChain, tmp_path: Path
) -> None:
    chain.pay(key.script, SATS)
    chain.mine()
    async with pool(tmp_path, electrum(two(servers)), [key.script]) as here:
        await here.baselined()
        (coin,) = chain.unspent(key.script)
        servers["a"].fake_unconfirmed(key.spend(coin, [(STRANGER, SATS - 2_000)], forged=True))
        await here.happens(lambda: here.watch.conduct.strikes["a", "signature"] == 1, "the strike")
        assert not here.told("tx.seen")
        theft = key.spend(coin, [(STRANGER, SATS - 1_000)])
        servers["b"].fake_unconfirmed(theft)
        await here.happens(lambda: bool(here.told("tx.seen")), "the outflow")
        assert [event.txid for event in here.told("tx.seen")] == [theft.txid]
        assert here.balance == (SATS, -SATS)


async def test_witnesses_are_held_of_what_is_in_no_block_alone(
    servers: Servers, chain: ToyChain, tmp_path: Path
) -> None:
    """Of a thousand with an image each they would be hundreds of megabytes."""
    key = SegwitKey(7, SATS)
    chain.pay(key.script, SATS)
    chain.mine()
    (coin,) = chain.unspent(key.script)
    spend = key.spend(coin, [(STRANGER, SATS - 1_000)])
    chain.know(spend)
    chain.mine(1, [spend.txid])
    async with pool(tmp_path, electrum({"a": servers["a"]}), [key.script], wanted=1) as here:
        await here.baselined()
        source = here.watch.attendants["a"].source
        (held,) = (await fetch(source, [spend.txid]))[0].values()
        assert held.raw == held.stripped != spend.raw
        (whole,) = (await fetch(source, [spend.txid], witnesses=True))[0].values()
        assert whole.raw == spend.raw
