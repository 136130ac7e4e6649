"""A source without a socket: the toy chain's answers, handed over as they are."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

from tests.toy.answers import Answers
from tests.toy.faults import Faults, ToyError
from watcher.bitcoin.headers import header_hash
from watcher.bitcoin.types import BlockRef, Txid
from watcher.sources.base import Branch, Claim, Histories, NotThere, SourceTip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from tests.toy.chain import ToyChain
    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import Doorbell, SourceError


class MemorySource:
    """Always connected; `faults` bend what it says."""

    announces = True

    def __init__(self, name: str, chain: ToyChain) -> None:
        self.name = name
        self.faults = Faults()
        self._chain = chain
        self._answers = Answers(chain, self.faults)
        self._doorbell: Doorbell | None = None
        self._told: dict[ScriptHash, str | None] = {}

    def hurry(self) -> None:
        """It is always connected."""

    def at_leisure(self) -> AbstractContextManager[None]:
        """It has no limits."""
        return nullcontext()

    def sweep_seconds(self, scripts: int) -> float:
        return 0.0 * scripts

    async def run(self, doorbell: Doorbell) -> NoReturn:
        self._doorbell = doorbell
        self._chain.listeners.append(self.notify)
        doorbell.connected(self.name)
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    def notify(self) -> None:
        """Ring for what changed."""
        assert self._doorbell is not None
        self._doorbell.tip_rang(self.name)
        for script, told in self._told.items():
            if (status := self._answers.status(script)) != told:
                self._told[script] = status
                self._doorbell.script_rang(self.name, script)

    @property
    def told_tip(self) -> SourceTip | None:
        """It has to be asked: every schedule is to find the block that was not announced."""
        return None

    async def tip(self) -> SourceTip:
        tip = self._answers.tip()
        header = bytes.fromhex(tip["hex"])
        return SourceTip(BlockRef(tip["height"], header_hash(header)), header)

    async def headers(self, start: int, count: int) -> tuple[bytes, ...]:
        found = self._answers.headers(start, count, as_list=True)["headers"]
        return tuple(bytes.fromhex(header) for header in found)

    async def watch(
        self, scripthashes: Sequence[ScriptHash]
    ) -> Mapping[ScriptHash, str | SourceError | None]:
        self._told |= {script: self._answers.status(script) for script in scripthashes}
        return {script: self._told[script] for script in scripthashes}

    async def forget(self, scripthashes: Sequence[ScriptHash]) -> None:
        for script in scripthashes:
            del self._told[script]

    async def histories(self, scripthashes: Sequence[ScriptHash]) -> Histories:
        tip = await self.tip()
        told = {
            script: tuple(
                Claim(Txid(line["tx_hash"]), line["height"] if line["height"] > 0 else None)
                for line in self._answers.history(script)
            )
            for script in scripthashes
        }
        statuses = {script: self._answers.status(script) for script in scripthashes}
        return Histories(tip, told, statuses)

    async def transactions(self, txids: Sequence[Txid]) -> Mapping[Txid, bytes | SourceError]:
        found: dict[Txid, bytes | SourceError] = {}
        for txid in txids:
            try:
                found[txid] = bytes.fromhex(self._answers.transaction(txid))
            except ToyError:
                found[txid] = NotThere(txid)
        return found

    async def branches(self, where: Sequence[tuple[Txid, int]]) -> Mapping[Txid, Branch | SourceError]:
        found: dict[Txid, Branch | SourceError] = {}
        for txid, height in where:
            try:
                told = self._answers.merkle(txid, height)
                found[txid] = Branch(told["pos"], tuple(told["merkle"]))
            except ToyError:
                found[txid] = NotThere(txid)
        return found
