"""Random things that happen to two treasuries on the real chain, and the oracle that the node is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.stack.bitcoind import RpcError
from tests.stack.chain import NotEnoughError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.real.setting import Setting

DEPTHS = (1, 1, 1, 2, 2, 3, 4, 6)


@dataclass(slots=True)
class Walk:
    """Takes one random step at a time; `blocks` counts what was mined since the last look."""

    setting: Setting
    rng: random.Random
    blocks: int = 0

    @property
    def addresses(self) -> list[str]:
        """Every watched address."""
        return [address for addresses in self.setting.treasuries.values() for address in addresses]

    async def step(self) -> str:
        """One random step; its name. What the wallets cannot do just then is no step."""
        verbs: list[tuple[Callable[[], Awaitable[object]], int]] = [
            (self.fund, 5), (self.spend, 4), (self.self_transfer, 2), (self.between, 2), (self.replace, 3),
            (self.mine, 5), (self.mine_some, 2), (self.unseen, 1), (self.reorganize, 2),
        ]  # fmt: skip
        while True:
            verb = self.rng.choices([v for v, _ in verbs], [w for _, w in verbs])[0]
            try:
                await verb()
            except (NotEnoughError, RpcError, IndexError):
                continue
            return verb.__name__

    async def fund(self) -> None:
        await self.setting.regtest.chain.fund(self._ours(), self.rng.randint(20_000, 5_000_000))

    async def spend(self) -> None:
        chain = self.setting.regtest.chain
        source = await self._rich()
        await chain.spend(
            source, await chain.stranger(), self.rng.randint(5_000, 15_000), change=self._ours()
        )

    async def between(self) -> None:
        """From one of ours to another, across treasuries or within."""
        await self.setting.regtest.chain.sweep(await self._rich(), self._ours())

    async def self_transfer(self) -> None:
        await self.setting.regtest.chain.self_transfer(await self._rich())

    async def replace(self) -> None:
        """Bump a fee, pay another of ours instead, or a stranger."""
        chain = self.setting.regtest.chain
        victim = self.rng.choice(sorted(await chain.mempool()))
        to = self.rng.choice([None, self._ours(), await chain.stranger()])
        await chain.replace(victim, to=to)

    async def mine(self) -> None:
        await self.setting.regtest.chain.mine(self.rng.choice([1, 1, 2]))
        self.blocks += 1

    async def mine_some(self) -> None:
        """Only some of the mempool: what has no unconfirmed parent."""
        node = self.setting.regtest.node
        entries = await node.rpc("getrawmempool", True)
        free = sorted(txid for txid, entry in entries.items() if not entry["depends"])
        await self.setting.regtest.chain.mine_only([t for t in free if self.rng.random() < 0.5])
        self.blocks += 1

    async def unseen(self) -> None:
        """Mined without ever having been in the mempool."""
        chain = self.setting.regtest.chain
        await chain.mine_with_raw(await chain.draft_fund(self._ours(), self.rng.randint(20_000, 500_000)))
        self.blocks += 1

    async def reorganize(self) -> None:
        """Another branch, that keeps some of what was mined and lets the rest wait."""
        chain = self.setting.regtest.chain
        depth = self.rng.choice(DEPTHS)
        height, _ = await chain.tip()
        mined = await self._mined(height - depth + 1, height)
        try:
            await chain.reorg(depth, keep=mined[: self.rng.randint(0, len(mined))])
        except RpcError:
            # what was to be kept spends a coin of the old branch: the new one is finished without it, since
            # an Electrum server does not follow its node to a lower tip
            now, _ = await chain.tip()
            for _ in range(height - now + 1):
                await chain.mine_only()
        self.blocks += 1

    def _ours(self) -> str:
        return self.rng.choice(self.addresses)

    async def _rich(self) -> str:
        """One of ours that has coins."""
        chain = self.setting.regtest.chain
        rich = [a for a in self.addresses if sum(c.sats for c in await chain.coins(a)) > 20_000]
        return self.rng.choice(rich)

    async def _mined(self, first: int, last: int) -> list[str]:
        """The transactions of these blocks in the chain's order, so that each prefix holds its parents."""
        node = self.setting.regtest.node
        txids: list[str] = []
        for height in range(first, last + 1):
            block = await node.rpc("getblock", await node.rpc("getblockhash", height))
            txids += block["tx"][1:]
        return txids
