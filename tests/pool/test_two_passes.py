"""A first reading in two passes: the past is taken up by the word of all, and proven afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.pool.rig import electrum, pool
from tests.toy.faults import error
from watcher.bitcoin.scripts import scripthash
from watcher.ledger.verify import verify
from watcher.observe.past import AT_ONCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pool.rig import Pool
    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum
    from tests.toy.keys import Key

Servers = dict[str, "ToyElectrum"]
HISTORY = "blockchain.scripthash.get_history"
TRANSACTION = "blockchain.transaction.get"
BRANCH = "blockchain.transaction.get_merkle"
MANY = 2 * AT_ONCE
SATS = 1_000


def a_busy_past(chain: ToyChain, key: Key) -> None:
    """Many payments in a few blocks."""
    chain.mine(20)
    for _ in range(MANY // 10):
        for _ in range(10):
            chain.pay(key.script, SATS)
        chain.mine()


def refuse(_params: list[Any], _honest: Any) -> Any:
    raise error(1, "tx not in block")


async def proven(here: Pool) -> tuple[int, int]:
    """How many transactions are proven, and how many are not yet."""
    found = await here.writer.run(verify)
    assert found.failures == []
    return found.proven, found.unproven


async def test_the_past_is_counted_before_it_is_proven_and_proven_afterwards(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    a_busy_past(chain, key)
    two = {name: servers[name] for name in ("a", "b")}
    for server in two.values():
        server.forge(BRANCH, refuse)
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.baselined()
        assert here.balance == (MANY * SATS, 0)
        assert await proven(here) == (0, MANY)
        chain.pay(key.script, SATS)
        await here.happens(lambda: bool(here.told("tx.seen")), "an alarm meanwhile")
        before = len(here.events)
        for server in two.values():
            del server.faults.answers[BRANCH]
            server.disconnect_all()
            server.counts.clear()

        await here.happens(lambda: here.watch.second_pass.is_over, "the second pass")
        assert sum(server.counts[BRANCH] for server in two.values()) == MANY  # each asked of one of them
        assert await proven(here) == (MANY, 1)  # what is in no block is not proven
        assert len(here.events) == before  # a proof is no news


async def test_a_script_is_read_at_one_source_where_the_others_have_its_status(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    a_busy_past(chain, key)
    for server in servers.values():
        server.faults.deaf = True
    async with pool(tmp_path, electrum(servers), [key.script]) as here:
        # who connects while another reads has not said its word yet, and is asked for it
        await here.happens(lambda: all(server.connections for server in servers.values()), "all connected")
        for server in servers.values():
            server.hear()
        await here.baselined()
        await here.happens(lambda: here.watch.second_pass.is_over, "the second pass")
        assert await proven(here) == (MANY, 0)
        for method in (TRANSACTION, BRANCH):
            assert sum(server.counts[method] for server in servers.values()) == MANY
        assert sum(server.counts[HISTORY] for server in servers.values()) == 1


async def test_where_one_tells_another_history_the_past_is_proven_first(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    a_busy_past(chain, key)
    two = {name: servers[name] for name in ("a", "b")}
    two["b"].omit(chain.history(scripthash(key.script))[0][0])
    for server in two.values():
        server.forge(BRANCH, refuse)
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.happens(
            lambda: all(server.counts[BRANCH] >= MANY - 1 for server in two.values()), "branches asked for"
        )
        assert not here.told("watch.baselined")
        for server in two.values():
            del server.faults.answers[BRANCH]
        await here.baselined()
        assert here.balance == (MANY * SATS, 0)
        assert await proven(here) == (MANY, 0)


async def test_one_stranger_alone_has_to_prove_the_past_first(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    a_busy_past(chain, key)
    servers["a"].forge(BRANCH, refuse)
    async with pool(tmp_path, electrum({"a": servers["a"]}), [key.script]) as here:
        await here.happens(lambda: servers["a"].counts[BRANCH] >= MANY, "branches asked for")
        assert not here.told("watch.baselined")


async def test_branches_that_do_not_fold_name_the_source_and_another_proves(
    servers: Servers, chain: ToyChain, key: Key, tmp_path: Path
) -> None:
    a_busy_past(chain, key)
    two = {name: servers[name] for name in ("a", "b")}
    two["b"].forge_merkle()
    async with pool(tmp_path, electrum(two), [key.script]) as here:
        await here.happens(lambda: bool(here.told("watch.baselined")), "the baseline")
        await here.happens_by_sweeping(lambda: here.watch.second_pass.is_over, "the second pass")
        assert await proven(here) == (MANY, 0)
