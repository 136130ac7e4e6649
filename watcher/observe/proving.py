"""Transactions and branches from a source, checked against hashes and against our chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from watcher.bitcoin.checkpoints import checkpoints
from watcher.bitcoin.headers import PERIOD, header_hash, parse_header, validate_chunk
from watcher.bitcoin.merkle import Tree
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import BlockRef, Confirmed, Malformed
from watcher.core.observation import Sighting, Trust
from watcher.ledger import chain as kept_headers
from watcher.sources.aside import aside_if_many
from watcher.sources.base import Misbehaved, NotThere, SourceError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Protocol, TypeVar

    from watcher.bitcoin.headers import Header
    from watcher.bitcoin.networks import Params
    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import Outpoint, Txid
    from watcher.observe.our_chain import OurChain
    from watcher.sources.base import Branch, Source

    T = TypeVar("T")

    class Ledger(Protocol):
        """The ledger as the watching sees it."""

        async def run(self, unit: Callable[[sqlite3.Connection], T]) -> T:
            """Run a unit of work in one transaction."""


BATCH: Final = 200  # transactions a question: some 50 kB of answers at the median size
# Held at once, of one look: parsed a transaction may take ten times its bytes, and many servers are read.
MOST_BYTES: Final = 2_000_000


async def fetch(
    source: Source, txids: Sequence[Txid], *, witnesses: bool = False
) -> tuple[dict[Txid, Transaction], list[Txid]]:
    """The transactions the source still has of these, each hashed to its txid, and those not asked for yet.

    What is in a block is proven without its witnesses. Of what is very large together not all is brought.
    """
    found: dict[Txid, Transaction] = {}
    left = list(txids)
    size = 0
    while left and size < MOST_BYTES:
        answers = await source.transactions(left[:BATCH])
        left = [txid for txid in left if txid not in answers]
        for txid, raw in answers.items():
            if isinstance(raw, SourceError):
                _unless_gone(raw)
                continue
            tx = checked(txid, raw)
            found[txid] = tx if witnesses or not tx.witnesses else replace(tx, witnesses=())
            size += found[txid].size
    return found, left


def by_parent(points: Iterable[Outpoint]) -> dict[Txid, list[Outpoint]]:
    """These points by the transaction that they are outputs of."""
    grouped: dict[Txid, list[Outpoint]] = {}
    for point in points:
        grouped.setdefault(point.txid, []).append(point)
    return grouped


async def fetch_outputs(
    source: Source, points: Mapping[Txid, Collection[Outpoint]]
) -> dict[Outpoint, TxOutput]:
    """These outputs, by their transaction, where the source has that; the transactions are not held."""
    found: dict[Outpoint, TxOutput] = {}
    left = list(points)
    while left:
        parents, left = await fetch(source, left)
        for txid, tx in parents.items():
            found |= outputs_of(tx, points[txid])
    return found


def outputs_of(tx: Transaction, points: Iterable[Outpoint]) -> dict[Outpoint, TxOutput]:
    """Of these points, which are of `tx`, those that it has."""
    return {point: tx.outputs[point.vout] for point in points if point.vout < len(tx.outputs)}


def checked(txid: Txid, raw: bytes) -> Transaction:
    """The transaction, if these bytes are the one asked for."""
    try:
        tx = parse_transaction(raw)
    except Malformed as error:
        raise Misbehaved("transaction", f"{txid}: {error}") from error
    if tx.txid != txid:
        raise Misbehaved("transaction", f"asked for {txid}, got {tx.txid}")
    return tx


class Prover:
    """Folds branches against headers of our chain; brings old headers where they are not held."""

    def __init__(self, params: Params, chain: OurChain, ledger: Ledger) -> None:
        self._params = params
        self._chain = chain
        self._ledger = ledger

    async def prove(
        self, source: Source, transactions: Mapping[Txid, Transaction], heights: Mapping[Txid, int]
    ) -> dict[Txid, Sighting]:
        """The transactions that the source shows to be in the blocks it said, on our chain.

        One it does not have (any more) is left out; a branch that does not fold is `Misbehaved`.
        """
        proven: dict[Txid, Sighting] = {}
        headers: dict[int, Header | None] = {}
        block: _Block | None = None
        where = [(txid, height) for txid, height in heights.items() if txid in transactions]
        for i in range(0, len(where), BATCH):
            part = where[i : i + BATCH]
            for txid, branch in (await source.branches(part)).items():
                if isinstance(branch, SourceError):
                    _unless_gone(branch)
                    continue
                height = heights[txid]
                if height not in headers:
                    headers[height] = await self._header(source, height)
                header = headers[height]
                if header is None:
                    continue
                if block is None or block.header is not header:  # one tree is held: neighbours come together
                    block = _Block(BlockRef(height, header.hash), header, Tree(header.merkle_root))
                try:
                    proven[txid] = _sighting(source, transactions[txid], branch, block)
                except Malformed:
                    sighting = await self._fold_again(source, transactions[txid], block)
                    if sighting is not None:
                        proven[txid] = sighting
        return proven

    async def believe(
        self,
        source: Source,
        transactions: Mapping[Txid, Transaction],
        heights: Mapping[Txid, int],
        vouchers: Mapping[Txid, tuple[str, ...]],
    ) -> dict[Txid, Sighting]:
        """The transactions in our blocks at these heights by their vouchers' word, without a branch.

        Where in its block one stands is not known before its branch is: it counts as the first.
        """
        headers = {
            height: await self._header(source, height) for height in {heights[t] for t in transactions}
        }
        return await aside_if_many(
            len(transactions),
            lambda: {
                txid: Sighting(
                    tx=tx,
                    position=Confirmed(BlockRef(heights[txid], header.hash), 0),
                    trust=Trust.CORROBORATED,
                    sources=vouchers[txid],
                    block_time=header.time,
                )
                for txid, tx in transactions.items()
                if (header := headers[heights[txid]]) is not None
            },
        )

    async def _fold_again(self, source: Source, tx: Transaction, block: _Block) -> Sighting | None:
        """A branch that does not fold may be one of another block at this height: a chain moves any time.

        Only where the source has our very block before and after a second branch of it is that one a lie.
        """
        height = block.ref.height
        had = await source.headers(height, 1)
        answer = (await source.branches([(tx.txid, height)]))[tx.txid]
        if isinstance(answer, SourceError):
            _unless_gone(answer)
            return None
        try:
            return _sighting(source, tx, answer, block)
        except Malformed as error:
            for answered in (had, await source.headers(height, 1)):
                if [header_hash(raw) for raw in answered] != [block.ref.hash]:
                    return None
            raise Misbehaved("merkle", f"{tx.txid} at {height}: {error}") from error

    async def _header(self, source: Source, height: int) -> Header | None:
        """Our header at `height`; None above our tip."""
        if height > self._chain.tip.height:
            return None
        raw = self._chain.header(height)
        if raw is None:
            rows = await self._ledger.run(lambda c: kept_headers.headers(c, height, 1))
            raw = rows[0][1] if rows else await self._old(source, height)
        return parse_header(raw)

    async def _old(self, source: Source, height: int) -> bytes:
        """A header below the checkpoints: its whole period, vouched for by the checkpoint that ends it."""
        known = checkpoints(self._params.network)
        period = height // PERIOD
        if period >= len(known):
            raise Misbehaved("headers", f"a transaction at {height}, where no header is held")
        start = period * PERIOD
        raws = await source.headers(start, PERIOD)
        previous = known[period - 1].hash if period else parse_header(raws[0]).previous if raws else None
        if previous is None:
            raise Misbehaved("headers", f"no headers from {start}, a height below its own tip")
        try:
            validate_chunk(self._params, start, raws, previous_hash=previous, last_hash=known[period].hash)
        except Malformed as error:
            raise Misbehaved("headers", str(error)) from error
        await self._ledger.run(lambda c: kept_headers.keep(c, start, raws))
        return raws[height - start]


@dataclass(frozen=True, slots=True)
class _Block:
    """One of our chain, with what branches have shown of its tree."""

    ref: BlockRef
    header: Header
    tree: Tree


def _sighting(source: Source, tx: Transaction, branch: Branch, block: _Block) -> Sighting:
    """The transaction in the block; `Malformed` where the branch does not fold."""
    block.tree.check(tx, branch.index, branch.siblings)
    return Sighting(
        tx=tx,
        position=Confirmed(block.ref, branch.index),
        trust=Trust.PROVEN,
        sources=(source.name,),
        block_time=block.header.time,
        siblings=branch.siblings,
    )


def _unless_gone(error: SourceError) -> None:
    """A transaction may leave a mempool or a block between two questions; anything else is a failure."""
    if not isinstance(error, NotThere):
        raise error
