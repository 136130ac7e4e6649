"""The questions of a source, as an explorer is asked them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from watcher.bitcoin.headers import header_hash, parse_header
from watcher.bitcoin.networks import PARAMS
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import BlockRef, ScriptHash, Txid
from watcher.sources.base import NotThere, SourceError, SourceTip, Unavailable, WrongNetwork
from watcher.sources.explorer_answers import (
    BLOCKS,
    HASH,
    RAW,
    SMALL,
    TXIDS,
    read_block,
    read_blocks,
    read_branch,
    read_hash,
    read_places,
    read_transaction,
)
from watcher.sources.explorer_history import HistoryReader
from watcher.sources.rest import Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from watcher.bitcoin.networks import Network
    from watcher.sources.base import Branch
    from watcher.sources.health import HealthRecord
    from watcher.sources.rest import Asking, Rest

T = TypeVar("T")
K = TypeVar("K")

_TRIES: Final = 3
_OP_RETURN: Final = 0x6A


class Explorer:
    """One server, reached: each question as it is put there. `record` learns the tip."""

    def __init__(self, rest: Rest, network: Network, record: HealthRecord, asking: Asking) -> None:
        self.histories = HistoryReader(rest, most=asking.history)
        self._rest = rest
        self._network = network
        self._record = record
        self._shown: SourceTip | None = None
        self._names_known = False

    async def greet(self) -> SourceTip:
        """Check that it is our network and find out how it names scripts; its tip."""
        try:
            genesis = read_hash(await self._rest.get("/block-height/0", HASH))
            if genesis != PARAMS[self._network].genesis:
                raise WrongNetwork(f"its first block is not that of {self._network}")
            tip = await self.tip()
            if tip.block.height > 0 and not self._names_known:
                await self._learn_names()
                self._names_known = True
        except NotThere as error:
            raise Unavailable(f"not an explorer of that kind: {error}") from None
        return tip

    async def tip(self) -> SourceTip:
        """The tip; one question while it stays the same."""
        for _ in range(_TRIES):
            tip_hash = read_hash(await self._rest.get("/blocks/tip/hash", HASH))
            shown = self._shown
            if shown is not None and shown.block.hash == tip_hash:
                return shown
            try:
                body = await self._rest.get(f"/block/{tip_hash}", SMALL)
            except NotThere:  # another server behind the same name, or reorganised away
                continue
            height, header = read_block(body)
            if header_hash(header) == tip_hash:
                self._shown = SourceTip(BlockRef(height, tip_hash), header)
                self._record.tip = self._shown.block
                return self._shown
        raise Unavailable("its tip is none of its blocks")

    async def headers(self, start: int, count: int) -> tuple[bytes, ...]:
        """From height `start`, linked to each other."""
        end = min(start + count - 1, (await self.tip()).block.height)
        if start > end:
            return ()
        for _ in range(_TRIES):
            try:
                headers = await self._headers(start, end)
            except NotThere:
                continue
            if _linked(headers):
                return headers
        raise Unavailable("its chain moved while its headers were read")

    async def transaction(self, txid: Txid) -> bytes:
        """A raw transaction."""
        return read_transaction(await self._rest.get(f"/tx/{txid}/hex", RAW, wait=Wait.AT_LEISURE))

    async def branch(self, txid: Txid, height: int) -> Branch:
        """A Merkle branch in the block at that height."""
        body = await self._rest.get(f"/tx/{txid}/merkle-proof", SMALL, wait=Wait.AT_LEISURE)
        return read_branch(body, height)

    async def _headers(self, start: int, end: int) -> tuple[bytes, ...]:
        """Pages downwards from `end`; the first one shows how many blocks a page of this server has."""

        async def page(height: int) -> tuple[bytes, ...]:
            return read_blocks(
                await self._rest.get(f"/blocks/{height}", BLOCKS, wait=Wait.AT_LEISURE), height
            )

        first = await page(end)
        heights = range(end - len(first), start - 1, -len(first))
        pages = [first, *(_or_raise(one) for one in (await each(heights, page)).values())]
        if any(len(one) < len(first) for one in pages[1:-1]):
            raise Unavailable("pages of blocks of different length")
        downwards = [header for one in pages for header in one]
        if len(downwards) < end - start + 1:
            raise Unavailable("pages of blocks that end too early")
        return tuple(downwards[end - start :: -1])

    async def _learn_names(self) -> None:
        """Explorers differ in the order of a script hash's digits: the first block's miner tells.

        Asked in the wrong order a server answers that there is nothing, for every script.
        """
        first = read_hash(await self._rest.get("/block-height/1", HASH))
        body = await self._rest.get(f"/block/{first}/txids", TXIDS)
        for txid in list(read_places(body))[:1]:
            outputs = parse_transaction(await self.transaction(Txid(txid))).outputs
            scripts = [out.script_pubkey for out in outputs if out.script_pubkey[:1] != bytes([_OP_RETURN])]
            for script in scripts[:1]:
                name = ScriptHash(sha256(script).digest()[::-1].hex())
                for reversed_names in (False, True):
                    if any(await self.histories.counts(name, reversed_names=reversed_names)):
                        self.histories.reversed_names = reversed_names
                        return
        raise Unavailable("its index does not know the first block")


async def _settled(question: Awaitable[T]) -> T | SourceError:
    try:
        return await question
    except SourceError as error:
        return error


async def each(keys: Iterable[K], ask: Callable[[K], Awaitable[T]]) -> dict[K, T | SourceError]:
    """Each key's answer or error; raised where the server answered for none of them."""
    asked = list(dict.fromkeys(keys))
    answers = await asyncio.gather(*(_settled(ask(key)) for key in asked))
    errors = [answer for answer in answers if isinstance(answer, Unavailable)]
    if errors and len(errors) == len(answers):
        raise errors[0]
    return dict(zip(asked, answers, strict=True))


def _or_raise(answer: T | SourceError) -> T:
    if isinstance(answer, SourceError):
        raise answer
    return answer


def _linked(headers: Sequence[bytes]) -> bool:
    return all(parse_header(later).previous == header_hash(earlier) for earlier, later in pairwise(headers))
