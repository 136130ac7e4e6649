"""A long list: asked for piece by piece where a server has limits, and taken down as the ledger has it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from tests.pool.rig import QUICK, TREASURY, electrum, pool
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.observe.sweep import A_PIECE
from watcher.sources.electrum import ElectrumSource

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum

SUBSCRIBE = "blockchain.scripthash.subscribe"
HISTORY = "blockchain.scripthash.get_history"
MANY = 3_000


async def test_a_movement_is_told_while_most_of_a_list_has_not_had_its_turn(
    servers: dict[str, ToyElectrum], chain: ToyChain, tmp_path: Path
) -> None:
    scripts = [b"\x00\x14" + n.to_bytes(20, "big") for n in range(MANY)]
    server = servers["a"]
    source = ElectrumSource(
        "a", server.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, backoff=QUICK, charges=True
    )
    async with pool(tmp_path, [source], scripts) as here:
        await here.happens(lambda: server.counts[SUBSCRIBE] > MANY // 2, "the first pieces", within=180)
        watch = here.watch
        await here.happens(lambda: 0 < len(watch.listing.unread) < MANY // 2, "they are read", within=180)
        told = next(s for s in scripts if scripthash(s) not in watch.listing.unread)
        chain.pay(told, 50_000)
        await here.happens(lambda: bool(here.told("tx.seen")), "the inflow", within=180)
        assert server.counts[SUBSCRIBE] < MANY
        assert server.counts[HISTORY] < 10  # nothing is read that was not asked for
        assert not watch.complete


async def test_scripts_without_a_history_are_taken_down_in_the_order_of_the_ledger(
    servers: dict[str, ToyElectrum], tmp_path: Path
) -> None:
    scripts = [b"\x00\x14" + n.to_bytes(20, "big") for n in range(MANY)]
    written: list[str] = []
    async with pool(tmp_path, electrum({"a": servers["a"]}), scripts, wanted=1) as here:
        here.connection.set_trace_callback(written.append)
        await here.baselined()
    read = [re.search(r"scripthash = '(\w+)'", one) for one in written if "UPDATE scripts SET status" in one]
    # in any other order each commit writes pages all over the table: 610 MB for 100,000 scripts instead of 20
    assert [found[1] for found in read if found] == [scripthash(script) for script in scripts]


async def test_a_status_of_nothing_is_the_whole_history(
    servers: dict[str, ToyElectrum], tmp_path: Path
) -> None:
    """Two of equal worth, and each is heard only with the other: nobody is asked to say it twice."""
    scripts = [b"\x00\x14" + n.to_bytes(20, "big") for n in range(MANY)]
    two = {name: servers[name] for name in ("a", "b")}
    async with pool(tmp_path, electrum(two), {TREASURY: scripts[:-500]}) as here:
        await here.baselined()
        assert [server.counts[HISTORY] for server in two.values()] == [0, 0]
        await here.relisted({TREASURY: scripts})
        await here.happens(lambda: not here.watch.listing.unread and here.watch.idle, "the new ones")
        assert [server.counts[HISTORY] for server in two.values()] == [0, 0]


async def test_where_one_says_there_is_nothing_the_other_is_heard(
    servers: dict[str, ToyElectrum], chain: ToyChain, tmp_path: Path
) -> None:
    scripts = [b"\x00\x14" + n.to_bytes(20, "big") for n in range(10)]
    paid = chain.pay(scripts[0], 50_000)
    chain.mine()
    two = {name: servers[name] for name in ("a", "b")}
    two["a"].omit(paid)
    async with pool(tmp_path, electrum(two), scripts) as here:
        await here.baselined()
        assert here.balance == (50_000, 0)


async def test_what_was_said_of_one_piece_is_taken_down_while_the_next_is_asked_for(
    servers: dict[str, ToyElectrum], tmp_path: Path
) -> None:
    server = servers["a"]
    scripts = [b"\x00\x14" + n.to_bytes(20, "big") for n in range(A_PIECE + 100)]

    def hold_the_rest_back(_params: list[Any], status: Any) -> Any:
        if server.counts[SUBSCRIBE] > A_PIECE:
            server.stall()
        return status

    server.forge(SUBSCRIBE, hold_the_rest_back)
    async with pool(tmp_path, electrum({"a": server}), scripts, wanted=1) as here:
        unread = here.watch.listing.unread
        await here.happens(lambda: len(unread) <= 100, "the first piece")
        assert server.faults.stalled
        assert not here.watch.complete
        server.faults.answers.clear()
        server.faults.stalled = False
        server.disconnect_all()  # what was held back was never answered
        await here.baselined()
        assert server.counts[HISTORY] == 0
