"""A script's whole history out of an explorer's pages.

1. A history is whole or it is an error: as many transactions as the server counts, or none are told.
2. What is in no block comes at most 50 at a time and cannot be paged: a script with more is `TooBusy`.
3. Pages are read down to an entry that is known from an earlier reading, in the very block: a block's
   transactions never change, nor do those of the blocks below it.
4. Several pages are one history when the first is the same before and after: a reorganisation shows in
   it, or touches nothing of it. When the pages moved, all is read again, a few times.
5. A reading that was cut off goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

from watcher.bitcoin.status import status_hash
from watcher.sources.aside import aside_if_many
from watcher.sources.base import Claim, NotThere, SourceError, TooBusy, Unavailable
from watcher.sources.explorer_answers import (
    PAGE,
    SMALL,
    TXIDS,
    Entry,
    read_counts,
    read_in_best_chain,
    read_page,
    read_places,
    unconfirmed_of,
)
from watcher.sources.rest import Oversized, Wait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watcher.bitcoin.types import BlockHash, ScriptHash
    from watcher.sources.rest import Rest

T = TypeVar("T")

UNCONFIRMED_SHOWN: Final = 50  # of a script's unconfirmed transactions, by both kinds; silently
_TRIES: Final = 3
_A_LINE: Final = 100  # bytes
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole history, its status, and the page it began with, which shows whether anything changed."""

    first: tuple[Entry, ...]
    confirmed: tuple[Entry, ...]  # in the chain's order
    claims: tuple[Claim, ...]
    status: str | None


@dataclass(slots=True)
class _Begun:
    """How far a reading came: entries newest first, and places in the blocks asked about."""

    entries: tuple[Entry, ...] = ()
    places: dict[BlockHash | None, dict[str, int]] = field(default_factory=dict)


class _Moved(Exception):
    """The pages do not fit each other: something happened between them, or something is missing."""


class HistoryReader:
    """Reads histories from one server; `most` bounds one, in transactions.

    The server's name for a script is its sha256 in the order of the bytes; `reversed_names` is for those
    that have it as Electrum does.
    """

    def __init__(self, rest: Rest, *, most: int) -> None:
        self.reversed_names = False
        self._rest = rest
        self._most = most
        self._kept: dict[ScriptHash, Reading] = {}
        self._begun: dict[ScriptHash, _Begun] = {}

    async def read(self, script: ScriptHash, *, keep: bool, wait: Wait) -> Reading:
        """The history; `keep` remembers it, so that reading it again unchanged is one question."""
        told = ""
        for _ in range(_TRIES):
            try:
                reading = await self._read(script, wait)
            except _Moved as moved:
                told = str(moved)
                self._begun.pop(script, None)
                self._kept.pop(script, None)
                continue
            except SourceError:
                if not keep:  # a stranger's, which nobody may ever ask for again
                    self._begun.pop(script, None)
                raise
            self._begun.pop(script, None)
            if keep:
                self._kept[script] = reading
            return reading
        raise Unavailable(f"a history that is not whole: {told}")

    def forget(self, script: ScriptHash) -> None:
        """Nothing of this script is asked for any more."""
        self._kept.pop(script, None)
        self._begun.pop(script, None)

    async def counts(
        self, script: ScriptHash, *, reversed_names: bool | None = None, wait: Wait = Wait.IN_TURN
    ) -> tuple[int, int]:
        """How many transactions the server counts in blocks, and in none."""
        path = self._path(script, reversed_names=reversed_names)
        return read_counts(await self._rest.get(path, SMALL, wait=wait))

    async def _read(self, script: ScriptHash, wait: Wait) -> Reading:
        path = self._path(script)
        kept = self._kept.get(script)
        first = await self._page(f"{path}/txs", wait)
        if kept is not None and kept.first == first and (not first or first[-1].height is not None):
            return kept
        in_blocks, in_none = await self.counts(script, wait=wait)
        unconfirmed = unconfirmed_of(first)
        if max(in_none, len(unconfirmed)) >= UNCONFIRMED_SHOWN:
            raise TooBusy(f"{UNCONFIRMED_SHOWN} unconfirmed transactions or more: the server shows no others")
        if in_blocks > self._most:
            raise TooBusy(f"a history of {in_blocks} transactions, more than {self._most}")
        if len(unconfirmed) != in_none:
            raise _Moved(f"{len(unconfirmed)} of {in_none} unconfirmed transactions")
        confirmed, paged = await self._confirmed(script, first[len(unconfirmed) :], in_blocks, kept, wait)
        if paged and await self._page(f"{path}/txs", wait) != first:
            raise _Moved("its first page changed meanwhile")
        if kept is not None and kept.confirmed and not confirmed:
            await self._check_denied(kept.confirmed[-1], wait)
        return await aside_if_many(len(confirmed), lambda: _reading(first, confirmed, unconfirmed))

    async def _confirmed(
        self, script: ScriptHash, page: tuple[Entry, ...], count: int, kept: Reading | None, wait: Wait
    ) -> tuple[tuple[Entry, ...], bool]:
        """What is in blocks, in the chain's order, `count` of them; and whether it took another page."""
        begun = self._begun.setdefault(script, _Begun())
        earlier = {entry: at for at, entry in enumerate(begun.entries)}
        known = set() if kept is None else set(kept.confirmed)
        found: list[Entry] = []
        below: tuple[Entry, ...] = ()
        paged = False
        while len(found) < count:
            if not page:
                page, paged = await self._chain_page(script, found, wait), True
            joint = next((at for at, entry in enumerate(page) if entry in known or entry in earlier), None)
            found += page[:joint]
            if joint is not None and page[joint] in known:
                below, found = _join(kept, page[joint], found)
                break
            if joint is not None:
                found += begun.entries[earlier[page[joint]] :]
            if joint is not None or not earlier:
                begun.entries, earlier = tuple(found), {}
            page = ()
        whole = (*below, *await self._in_order(found, begun, wait))
        if len(whole) != count or len({entry.txid for entry in whole}) != count:
            raise _Moved(f"{len(whole)} of {count} transactions")
        return whole, paged

    async def _chain_page(self, script: ScriptHash, found: Sequence[Entry], wait: Wait) -> tuple[Entry, ...]:
        after = f"/{found[-1].txid}" if found else ""
        try:
            page = await self._page(f"{self._path(script)}/txs/chain{after}", wait)
        except NotThere:
            raise _Moved("the transaction to page from is gone") from None
        if not page or page[0].height is None:
            raise _Moved("a page is empty or not of the chain")
        return page

    async def _in_order(self, newest_first: Sequence[Entry], begun: _Begun, wait: Wait) -> list[Entry]:
        """In the chain's order: servers sort by block, and not always within one."""
        blocks = await aside_if_many(len(newest_first), lambda: _by_block(newest_first))
        missing = [block for block, few in blocks.items() if len(few) > 1 and block not in begun.places]

        async def learn(block: BlockHash | None) -> None:
            body = await self._rest.get(f"/block/{block}/txids", TXIDS, wait=wait)
            places = await aside_if_many(len(body) // _A_LINE, lambda: read_places(body))
            wanted = {entry.txid for entry in blocks[block]}
            begun.places[block] = {txid: place for txid, place in places.items() if txid in wanted}

        for at in range(0, len(missing), _AT_ONCE):
            await asyncio.gather(*(learn(block) for block in missing[at : at + _AT_ONCE]))
        return await aside_if_many(len(newest_first), lambda: _laid_out(blocks, begun.places))

    async def _check_denied(self, newest: Entry, wait: Wait) -> None:
        """A history cannot become empty while the block of its newest transaction is on the chain."""
        if read_in_best_chain(await self._rest.get(f"/block/{newest.block}/status", SMALL, wait=wait)):
            raise Unavailable("it denies a history that it told before")

    async def _page(self, path: str, wait: Wait) -> tuple[Entry, ...]:
        try:
            body = await self._rest.get(path, PAGE, wait=wait)
        except Oversized as error:
            raise TooBusy(str(error)) from None
        return await aside_if_many(len(body) // _A_LINE, lambda: read_page(body))

    def _path(self, script: ScriptHash, *, reversed_names: bool | None = None) -> str:
        as_electrum = self.reversed_names if reversed_names is None else reversed_names
        name = script if as_electrum else bytes.fromhex(script)[::-1].hex()
        return f"/scripthash/{name}"


def _by_block(entries: Sequence[Entry]) -> dict[BlockHash | None, list[Entry]]:
    """Entries of blocks, lowest first."""
    lowest_first = sorted(entries, key=lambda entry: (entry.height or 0, entry.block or ""))
    blocks = {block: list(few) for block, few in groupby(lowest_first, lambda entry: entry.block)}
    if len(blocks) != len({entry.height for entry in entries}):
        raise _Moved("two blocks at one height")
    return blocks


def _laid_out(
    blocks: Mapping[BlockHash | None, Sequence[Entry]], places: Mapping[BlockHash | None, Mapping[str, int]]
) -> list[Entry]:
    ordered: list[Entry] = []
    for block, entries in blocks.items():
        if len(entries) == 1:
            ordered += entries
        elif all(entry.txid in places[block] for entry in entries):
            ordered += sorted(entries, key=lambda entry: places[block][entry.txid])
        else:
            raise _Moved("a transaction that is not in its block")
    return ordered


def _join(
    kept: Reading | None, joint: Entry, found: Sequence[Entry]
) -> tuple[tuple[Entry, ...], list[Entry]]:
    """What was kept up to the block of the joint, and what was found above it."""
    assert kept is not None
    height = joint.height
    assert height is not None
    below = tuple(entry for entry in kept.confirmed if entry.height is not None and entry.height <= height)
    return below, [entry for entry in found if entry.height is not None and entry.height > height]


def _reading(
    first: tuple[Entry, ...], confirmed: tuple[Entry, ...], newest_first: tuple[Entry, ...]
) -> Reading:
    unconfirmed = newest_first[::-1]
    ids = {entry.txid for entry in unconfirmed}
    if len(ids) != len(unconfirmed) or not ids.isdisjoint(entry.txid for entry in confirmed):
        raise _Moved("the same transaction twice")
    whole = (*confirmed, *unconfirmed)
    # Electrum's heights: -1 has an unconfirmed parent, as far as that parent is in this history too
    lines = [
        (entry.txid, -int(not ids.isdisjoint(entry.parents)) if entry.height is None else entry.height)
        for entry in whole
    ]
    return Reading(
        first, confirmed, tuple(Claim(entry.txid, entry.height) for entry in whole), status_hash(lines)
    )
