"""A source on a branch of the same work neither lags nor lies, and counts for what lies below the fork."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.pool.rig import TREASURY, electrum, pool
from tests.toy.answers import Answers
from tests.toy.chain import ToyChain
from tests.toy.coding import sha256d
from tests.toy.electrum import ToyElectrum
from tests.toy.faults import Faults
from tests.toy.keys import Key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.pool.rig import Pool

SATS = 50_000
SUBSCRIBE = "blockchain.scripthash.subscribe"


def twins(key: Key) -> tuple[ToyChain, ToyChain]:
    """Two chains with the same blocks so far."""
    chains = (ToyChain(), ToyChain())
    for chain in chains:
        chain.pay(key.script, SATS)
        chain.mine(3)
    assert chains[0].tip == chains[1].tip
    return chains


def part(one: ToyChain, two: ToyChain, depth: int) -> None:
    """The second mines as many other blocks: a transaction that the first does not have is in them."""
    one.mine(depth)
    two.pay(b"\x51\x51", 1_000)
    two.mine(depth)
    assert one.height == two.height
    assert one.tip != two.tip


def block_of(chain: ToyChain, height: int) -> dict[str, object]:
    """A block as events tell it, by the bytes of its header."""
    block = chain.blocks[height]
    seconds = int.from_bytes(block.header[68:72], "little")
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"height": height, "hash": sha256d(block.header)[::-1].hex(), "time": time}


@asynccontextmanager
async def parted(
    one: ToyChain, two: ToyChain, state: Path, scripts: list[bytes]
) -> AsyncIterator[tuple[Pool, ToyElectrum]]:
    """A watch on a server of each, and the second of them."""
    async with (
        ToyElectrum(one) as first,
        ToyElectrum(two) as second,
        pool(state, electrum({"one": first, "two": second}), scripts) as here,
    ):
        yield here, second


async def test_it_counts_towards_the_quorum_at_the_block_where_the_branches_part(tmp_path: Path) -> None:
    key = Key(7)
    one, two = twins(key)
    shared = one.tip
    part(one, two, 3)
    async with parted(one, two, tmp_path, [key.script]) as (here, _):
        await here.baselined()
        complete = here.watch.complete[TREASURY]
        assert (complete.block, complete.sources) == (shared, ("one", "two"))
        assert sorted(here.watch.fresh_sources()) == ["one", "two"]
        assert here.balance == (SATS, 0)
        assert not here.watch.conduct.strikes


async def test_what_is_in_its_blocks_is_read_again_once_they_are_ours(tmp_path: Path) -> None:
    key = Key(7)
    one, two = twins(key)
    part(one, two, 3)
    async with (
        ToyElectrum(one) as first,
        ToyElectrum(two) as second,
        pool(tmp_path, electrum({"one": first, "two": second}), [key.script], wanted=1) as here,
    ):
        await here.baselined()
        one.mine()
        await here.happens(lambda: here.watch.tip == one.tip, "the first branch")
        await first.stop()
        await here.happens(lambda: "one" not in here.doorbells.up, "the second alone")
        (coin,) = two.unspent(key.script)
        rounds = here.watch.rounds
        spend = two.spend([coin], [(b"\x51\x52", 40_000)])
        two.mine(1, [spend])
        await here.happens(lambda: here.watch.rounds > rounds, "what it says of its own branch")
        await here.sweep(["two"])
        two.mine(2)
        await here.happens(lambda: here.watch.tip == two.tip, "the second branch")
        await here.happens_by_sweeping(lambda: bool(here.told("tx.confirmed")), "the outflow")
        assert [event.txid for event in here.told("tx.confirmed")] == [spend]
        assert here.balance == (0, 0)


async def test_it_does_not_count_any_more_when_ours_has_more_work(tmp_path: Path) -> None:
    key = Key(7)
    one, two = twins(key)
    part(one, two, 3)
    async with parted(one, two, tmp_path, [key.script]) as (here, _):
        await here.baselined()
        ours = one if here.watch.tip == one.tip else two
        ours.mine()
        await here.happens(lambda: here.watch.tip == ours.tip, "the longer branch")
        await here.happens(lambda: len(here.watch.fresh_sources()) == 1, "one of them fresh")


async def test_what_it_says_while_ours_grows_is_not_said_beside_our_new_tip(tmp_path: Path) -> None:
    key = Key(7)
    one, two = twins(key)
    part(one, two, 3)
    async with parted(one, two, tmp_path, [key.script]) as (here, second):
        await here.baselined()
        if here.watch.tip == two.tip:  # then the second is to be the other
            one.mine()
            await here.happens(lambda: here.watch.tip == one.tip, "the first branch")
            two.mine()
        second.notify()
        await here.happens_by_sweeping(lambda: len(here.watch.fresh_sources()) == 2, "both of them fresh")
        attendant, grows_to = here.watch.attendants["two"], one.height + 2
        rounds = attendant.rounds

        def grown(_params: list[Any], _honest: Any) -> Any:
            del second.faults.answers[SUBSCRIBE]
            second.half_open()
            one.mine(2)
            return "ab" * 32  # its history is asked for, and answered when ours has grown

        second.forge(SUBSCRIBE, grown)
        here.doorbells.sweep()
        await here.happens(lambda: here.watch.chain.tip.height == grows_to, "the longer branch")
        second.hear()
        await here.happens(lambda: attendant.rounds > rounds, "its answer")
        assert "two" not in here.watch.fresh_sources()


async def test_it_is_not_accused_of_hiding_what_is_in_a_block_it_does_not_have(tmp_path: Path) -> None:
    key, other = Key(7), Key(8)
    one, two = twins(key)
    async with parted(one, two, tmp_path, [key.script, other.script]) as (here, second):
        await here.baselined()
        paid = one.pay(other.script, SATS)
        one.mine()
        await here.happens(lambda: bool(here.told("tx.confirmed")), "the inflow")
        part_two = two.pay(key.script, 1_000)  # and the other way round: in no block of ours
        two.mine()
        assert one.height == two.height
        second.notify()
        for _ in range(5):
            await here.sweep()
        assert here.balance == (2 * SATS, 0)
        assert not here.watch.conduct.strikes
        assert not here.told("chain.reorganized")
        assert [event.txid for event in here.told("tx.confirmed")] == [paid]
        two.mine()
        await here.happens(lambda: bool(here.told("chain.reorganized")), "the longer branch")
        [reorganized] = here.told("chain.reorganized")
        assert reorganized.data["fork"] == block_of(two, two.height - 2)
        assert reorganized.data["old_tip"] == block_of(one, one.height)
        assert reorganized.data["new_tip"] == block_of(two, two.height)
        assert two.height_of(part_two) == two.height - 1
        await here.happens_by_sweeping(lambda: here.balance[0] == SATS + 1_000, "what is in it")


async def test_it_is_not_accused_where_two_answers_are_of_two_branches(tmp_path: Path) -> None:
    """An honest server has the headers of a new branch before it tells of it: it answers from both."""
    key = Key(7)
    one, two = twins(key)
    one.mine()
    two.mine(3, [two.pay(key.script, 1_000)])
    asked = 0

    def from_both(params: list[Any], honest: Any) -> Any:
        nonlocal asked
        asked += params[0] > one.height - 2
        return Answers(two, Faults()).headers(*params[:2], as_list=True) if asked == 2 else honest

    async with (
        ToyElectrum(one) as server,
        pool(tmp_path, electrum({"one": server}), [key.script], wanted=1) as here,
    ):
        await here.baselined()
        server.forge("blockchain.block.headers", from_both)
        one.mine()
        await here.happens(lambda: here.watch.tip == one.tip, "the new block")
        assert asked > 2
        assert not here.watch.conduct.strikes


async def test_it_is_not_accused_while_it_has_not_announced_the_branch_that_it_serves(tmp_path: Path) -> None:
    """ElectrumX announces a block with its next look at the mempool, up to seconds after it serves it."""
    key = Key(7)
    one, _ = twins(key)
    async with parted(one, one, tmp_path, [key.script]) as (here, second):
        await here.baselined()
        announced = second.answers.tip()
        second.swallow_notifications()
        second.forge("blockchain.headers.subscribe", lambda _params, _honest: announced)
        one.reorg(1)
        await here.happens(lambda: here.watch.tip == one.tip, "the reorganisation")
        for _ in range(5):
            await here.sweep()
        assert here.watch.attendants["two"].is_up
        assert here.watch.complete[TREASURY].block != one.tip
        del second.faults.answers["blockchain.headers.subscribe"]
        second.faults.silent_bells = False
        second.notify()
        await here.happens_by_sweeping(lambda: here.watch.complete[TREASURY].block == one.tip, "both words")
        assert not here.watch.conduct.strikes
