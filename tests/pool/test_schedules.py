"""Random schedules: a chain that lives, three sources, and two of them lie in every way they can.

The oracle is the chain itself. No event may speak of a transaction that never was; at the end everything
that is in a block has been told, the sum is what the chain says, and whoever still leaves a proven
transaction out or has shown a forged spend is named.
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.pool.rig import Pool, electrum, pool
from tests.toy.chain import ToyChain
from tests.toy.coding import Tx, scripthash
from tests.toy.electrum import ToyElectrum
from tests.toy.keys import Key
from tests.toy.memory import MemorySource
from watcher.bitcoin.types import Outpoint, Txid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.toy.faults import Faults
    from watcher.bitcoin.types import ScriptHash

STEPS = 12
STRANGER = b"\x52\x20" + b"\x77" * 32
LIARS = ("a", "b")


class Life:
    """What happens on the chain and among its servers, drawn from one seed."""

    def __init__(
        self, seed: int, chain: ToyChain, faults: dict[str, Faults], notify: Callable[[str], None]
    ) -> None:
        self.draw = random.Random(seed)
        self.chain = chain
        self.key = Key(seed + 1)
        self.forged: list[tuple[str, Tx]] = []
        self.faults = faults
        self._notify = notify

    def step(self) -> None:
        """One thing."""
        self.draw.choice(
            (self._inflow, self._outflow, self._block, self._branch, self._lie, self._lie, self._relent)
        )()

    def shows_a_forgery(self, name: str) -> bool:
        """Whether a server at our tip shows a forged spend of a coin that is there."""
        faults = self.faults[name]
        return faults.tip_height is None and any(
            forger == name
            and tx.txid in faults.fakes
            and self.chain.spender(tx.inputs[0]) is None
            and self.chain.height_of(tx.inputs[0].txid) is not None
            and tx.inputs[0].txid not in faults.omitted
            for forger, tx in self.forged
        )

    def _inflow(self) -> None:
        self.chain.pay(self.key.script, self.draw.randrange(10_000, 90_000))

    def _outflow(self) -> None:
        coins = self.chain.unspent(self.key.script)
        if coins:
            coin = self.draw.choice(sorted(coins))
            tx = self.key.spend(coin, [(STRANGER, coins[coin] - 1_000)])
            self.chain.know(tx)
            self.chain.mempool[tx.txid] = None
            for name in self.faults:
                self._notify(name)

    def _block(self) -> None:
        self.chain.mine()

    def _branch(self) -> None:
        self.chain.reorg(1, keep=self.chain.blocks[-1].txids[1:])

    def _relent(self) -> None:
        """A frozen server hears of the chain again."""
        name = self.draw.choice(LIARS)
        self.faults[name].tip_height = None
        self.faults[name].forged_branches = False
        self._notify(name)

    def _lie(self) -> None:
        name = self.draw.choice(LIARS)
        faults = self.faults[name]
        match self.draw.randrange(6):
            case 0:
                known = [t for t, _ in self.chain.history(scripthash_of(self.key))]
                faults.omitted.update(self.draw.sample(known, min(1, len(known))))
            case 1:
                phantom = Tx(
                    (Outpoint(Txid(self.draw.randbytes(32).hex()), 0),), ((self.key.script, 70_000),)
                )
                faults.fakes[phantom.txid] = phantom
            case 2:
                coins = self.chain.unspent(self.key.script)
                if coins:
                    forged = self.key.spend(min(coins), [(STRANGER, 1_000)], forged=True)
                    faults.fakes[forged.txid] = forged
                    self.forged.append((name, forged))
            case 3:
                faults.tip_height = self.chain.height
            case 4:
                faults.forged_branches = True
            case _:
                faults.fakes.clear()
        self._notify(name)


def scripthash_of(key: Key) -> ScriptHash:
    return scripthash(key.script)


async def judge(life: Life, here: Pool) -> None:
    """Everything that is so has been told, nothing that is not, and the liars are named."""
    chain = life.chain
    honest = chain.mine()
    script = scripthash_of(life.key)
    await here.happens(lambda: here.watch.tip == honest, "the honest source's tip")
    for _ in range(2):
        await here.sweep()
    own = [t for t, height in chain.history(script) if height > 0]
    await here.happens(lambda: set(own) <= {e.txid for e in here.told("tx.confirmed")}, "all to be told")
    await here.happens(lambda: here.balance[0] == sum(chain.unspent(life.key.script).values()), "the sum")
    assert {event.txid for event in here.events if event.txid} <= chain.transactions.keys()
    for name in LIARS:
        if life.shows_a_forgery(name):
            await here.happens_by_sweeping(partial(caught_or_silent, here, name), f"the forger {name} named")
    assert not any(source == "c" for (source, _) in here.watch.conduct.strikes)


def caught_or_silent(here: Pool, name: str) -> bool:
    """Struck for a forged spend, or not asked now: one that has rested may not have been asked since."""
    attendant = here.watch.attendants[name]
    return (name, "signature") in here.watch.conduct.strikes or not attendant.is_up or attendant.rests


async def in_memory(seed: int, state: Path) -> None:
    chain = ToyChain()
    sources = {name: MemorySource(name, chain) for name in ("a", "b", "c")}
    life = Life(seed, chain, {n: s.faults for n, s in sources.items()}, lambda name: sources[name].notify())
    async with pool(state, list(sources.values()), [life.key.script]) as here:
        await here.baselined()
        for _ in range(STEPS):
            life.step()
            if life.draw.random() < 0.4:
                await here.sweep()
        await judge(life, here)


async def on_sockets(seed: int, state: Path) -> None:
    chain = ToyChain()
    async with AsyncExitStack() as stack:
        servers = {n: await stack.enter_async_context(ToyElectrum(chain)) for n in ("a", "b", "c")}
        life = Life(
            seed, chain, {n: s.faults for n, s in servers.items()}, lambda name: servers[name].notify()
        )
        async with pool(state, electrum(servers), [life.key.script]) as here:
            await here.baselined()
            for _ in range(STEPS):
                life.step()
                if life.draw.random() < 0.4:
                    await here.sweep()
            await judge(life, here)


@pytest.mark.parametrize("seed", range(60))
async def test_schedules_in_memory(seed: int, tmp_path: Path) -> None:
    await in_memory(seed, tmp_path)


@pytest.mark.parametrize("seed", range(10))
async def test_schedules_on_sockets(seed: int, tmp_path: Path) -> None:
    await on_sockets(seed, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1_000, 11_000))
async def test_many_schedules_in_memory(seed: int, tmp_path: Path) -> None:
    await in_memory(seed, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(11_000, 11_300))
async def test_many_schedules_on_sockets(seed: int, tmp_path: Path) -> None:
    await on_sockets(seed, tmp_path)
