"""Plays two treasuries' life on a private chain: payments, replacements, blocks, reorganisations."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

from tests.stack.chain import AddressKind
from tests.stack.told import COIN, btc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from random import Random

    from tests.stack.chain import Chain
    from tests.stack.receiver import Received, Receiver
    from tests.stack.told import Screen

Treasuries: TypeAlias = "Mapping[str, Mapping[AddressKind, str]]"

KINDS: Final = get_args(AddressKind)
FINALITY: Final = 3  # a round has time for it, and no reorganisation of it goes so deep
_TOLD_WITHIN: Final = 60.0  # far beyond what it takes on a busy machine
_FIRST_PAUSE: Final = 0.3  # everything is to be shown soon, and then slowly enough to be read
_PAUSE: Final = 1.5


class PlayError(RuntimeError):
    """What the chain did was not told."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the player acts on and whom it watches."""

    chain: Chain
    receiver: Receiver
    treasuries: Treasuries


class Player:
    """Each act changes the chain and waits for its webhooks, so that cause and effect stand together."""

    def __init__(self, stage: Stage, screen: Screen, draw: Random) -> None:
        self._chain = stage.chain
        self._receiver = stage.receiver
        self._treasuries = stage.treasuries
        self._screen = screen
        self._draw = draw
        self._stopping = asyncio.Event()
        self._waiting: list[str] = []  # transactions of this round that the next block is to confirm
        self._payment = ""

    def stop(self) -> None:
        """End after the act that is on."""
        self._stopping.set()

    async def run(self) -> None:
        """Round after round until `stop`, each with other kinds of addresses; `PlayError` as it says."""
        pause = _FIRST_PAUSE
        for number in itertools.count():
            hot, cold = (KINDS[(number + shift) % len(KINDS)] for shift in (0, 1))
            for act in self._acts(hot, cold):
                await act()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                if self._stopping.is_set():
                    return
            pause = _PAUSE

    def _acts(self, hot: AddressKind, cold: AddressKind) -> Iterator[Callable[[], Awaitable[None]]]:
        yield partial(self._deposits, hot)
        yield self._settles
        yield partial(self._spends, hot)
        yield partial(self._moves, hot, cold)
        yield self._replaces
        yield self._settles
        yield partial(self._double_spend, cold)
        yield partial(self._reorganises, cold)

    async def _deposits(self, kind: AddressKind) -> None:
        self._waiting = [await self._deposit(name, kind) for name in self._treasuries]
        await self._told("tx.seen", *self._waiting)

    async def _spends(self, kind: AddressKind) -> None:
        amount = self._amount(0.02, 0.04)
        self._screen.deed(f"alpha pays {btc(amount)} BTC to a stranger")
        stranger = await self._chain.stranger()
        self._payment = await self._chain.spend(self._treasuries["alpha"][kind], stranger, amount)
        await self._told("tx.seen", self._payment)

    async def _moves(self, hot: AddressKind, cold: AddressKind) -> None:
        self._screen.deed(f"beta moves its {hot} coins to its {cold} address")
        beta = self._treasuries["beta"]
        self._waiting.append(await self._chain.sweep(beta[hot], beta[cold]))
        await self._told("tx.seen", self._waiting[-1])

    async def _replaces(self) -> None:
        self._screen.deed("alpha replaces its payment by one with a higher fee")
        self._waiting.append(await self._chain.replace(self._payment))
        await self._told("tx.replaced", self._payment)
        await self._told("tx.seen", self._waiting[-1])

    async def _settles(self) -> None:
        await self._mine()
        await self._told("tx.confirmed", *self._waiting)
        self._waiting = []

    async def _double_spend(self, kind: AddressKind) -> None:
        txid = await self._deposit("beta", kind)
        await self._told("tx.seen", txid)
        self._screen.deed("who paid takes it back: a replacement sends the coins to a stranger")
        await self._chain.replace(txid, to=await self._chain.stranger())
        await self._told("tx.replaced", txid)

    async def _reorganises(self, kind: AddressKind) -> None:
        """Two blocks with a deposit each; the new branch has the first again and leaves out the second."""
        kept, freed = [await self._confirmed_deposit(name, kind) for name in ("alpha", "beta")]
        _, old_tip = await self._chain.tip()
        self._screen.deed("the last two blocks are reorganised away, three others take their place")
        await self._chain.reorg(2, keep=[kept])
        await self._heard(
            lambda one: one.type == "chain.reorganized" and one.data["old_tip"]["hash"] == old_tip,
            f"chain.reorganized away from {old_tip}",
        )
        await self._told("tx.moved", kept)
        await self._told("tx.unconfirmed", freed)
        await self._mine()
        await self._told("tx.confirmed", freed, times=2)
        await self._mine(FINALITY - 1)
        await self._told("tx.final", kept, freed)

    async def _confirmed_deposit(self, name: str, kind: AddressKind) -> str:
        txid = await self._deposit(name, kind)
        await self._told("tx.seen", txid)
        await self._mine()
        await self._told("tx.confirmed", txid)
        return txid

    async def _deposit(self, name: str, kind: AddressKind) -> str:
        amount = self._amount(0.05, 0.25)
        self._screen.deed(f"somebody pays {btc(amount)} BTC to {name}, {kind}")
        return await self._chain.fund(self._treasuries[name][kind], amount)

    async def _mine(self, blocks: int = 1) -> None:
        self._screen.deed(f"{blocks} block{'' if blocks == 1 else 's'} mined")
        await self._chain.mine(blocks)

    async def _told(self, kind: str, *txids: str, times: int = 1) -> None:
        """Until a verified webhook of this type came for each transaction, `times` with different ids."""
        for txid in txids:
            ids: set[str] = set()

            def another(one: Received, txid: str = txid, ids: set[str] = ids) -> bool:
                return one.type == kind and one.data["txid"] == txid and one.id not in ids

            for _ in range(times):
                ids.add((await self._heard(another, f"{kind} of {txid}")).id)

    async def _heard(self, expected: Callable[[Received], bool], what: str) -> Received:
        try:
            return await self._receiver.wait_for(expected, within=_TOLD_WITHIN)
        except TimeoutError:
            raise PlayError(f"no verified webhook came within {_TOLD_WITHIN:g} s: {what}") from None

    def _amount(self, low: float, high: float) -> int:
        return self._draw.randint(int(low * COIN), int(high * COIN))
