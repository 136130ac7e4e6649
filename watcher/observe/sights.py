"""What of the transactions that a source claims is new, and what it shows of that: each with its proof."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Confirmed, Outpoint, Unconfirmed
from watcher.core.observation import Sighting, Trust
from watcher.ledger import knowledge
from watcher.observe.proving import by_parent, fetch, fetch_outputs, outputs_of
from watcher.observe.slices import A_SLICE
from watcher.sources.aside import aside_if_many

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.ledger.knowledge import Kept
    from watcher.observe.facts import Facts
    from watcher.observe.follow import Fork
    from watcher.observe.our_chain import OurChain
    from watcher.observe.past import Past
    from watcher.observe.proving import Ledger, Prover
    from watcher.sources.base import Claim, Source

MAX_PARENTS: Final = 50  # of one transaction; beyond it its fee stays unknown


class MissingCoin(NamedTuple):
    """A coin on a script of ours whose transaction the ledger does not have, and the one that spends it."""

    script: ScriptHash
    txid: Txid
    spender: Txid


@dataclass(frozen=True, slots=True)
class Sights:
    """One source's transactions, beside what the ledger has of them.

    `watched` are the scripts that it may learn, `past` knows those that are read for the first time.
    `fork` is where its chain leaves ours, while it is on another branch. `too_busy` are those that it has
    refused to answer for: nothing waits for them.
    """

    source: Source
    chain: OurChain
    prover: Prover
    ledger: Ledger
    watched: Collection[ScriptHash]
    past: Past
    fork: Fork | None = None
    too_busy: Collection[ScriptHash] = ()

    async def news(
        self,
        histories: Mapping[ScriptHash, Sequence[Claim]],
        *,
        beside: bool,
        enough: int | None = None,
        shown: Collection[Txid] = (),
    ) -> tuple[dict[Txid, Claim], dict[Txid, Kept]]:
        """What of it the ledger lacks or has elsewhere, and that as it has it; not all beyond `enough`.

        What was `shown` may wait for others to show it too.
        """
        news: dict[Txid, Claim] = {}
        kept: dict[Txid, Kept] = {}
        claims = chain.from_iterable(histories.values())
        while lines := list(islice(claims, A_SLICE)):
            known = await self.ledger.run(partial(_kept, claims=lines))
            for claim in lines:
                if not self._is_news(claim, known.get(claim.txid)) or (beside and not self.is_shared(claim)):
                    continue
                if claim.height is None and claim.txid in shown:
                    continue
                news[claim.txid] = claim
                if claim.txid in known:
                    kept[claim.txid] = known[claim.txid]
            if enough is not None and len(news) > enough:
                break
        return news, kept

    async def sight(
        self,
        news: Mapping[Txid, Claim],
        kept: Mapping[Txid, Kept],
        waiting: Mapping[Txid, tuple[str, ...]],
        facts: Facts,
    ) -> int:
        """A sighting of each claimed transaction that is new or is said to be elsewhere than it was.

        The branches of those in `waiting` are asked for later. Returns how many there are at all.
        """
        facts.kept |= kept.keys()
        facts.fallen |= {txid for txid, known in kept.items() if known.fallen}
        held = {txid: parse_transaction(kept[txid].raw) for txid in news if txid in kept}
        heights = await aside_if_many(
            len(news), lambda: {c.txid: c.height for c in news.values() if c.height is not None}
        )
        # what is large comes in parts, each shown to be so before the next: who lies is caught at the first
        part, left = {t: tx for t, tx in held.items() if t in heights}, [t for t in heights if t not in held]
        there = 0
        while part or left:
            if left:
                more, left = await fetch(self.source, left)
                part |= more
            there += len(part)
            await self._show(part, heights, waiting, facts)
            part = {}
        loose = [txid for txid in news if txid not in heights]
        found, _ = await fetch(self.source, _turned([t for t in loose if t not in held]), witnesses=True)
        found |= {txid: held[txid] for txid in loose if txid in held}
        for txid, tx in found.items():
            facts.sightings[txid] = Sighting(tx, Unconfirmed(), Trust.REPORTED, (self.source.name,))
        return there + len(found)

    async def _show(
        self,
        transactions: Mapping[Txid, Transaction],
        heights: Mapping[Txid, int],
        waiting: Mapping[Txid, tuple[str, ...]],
        facts: Facts,
    ) -> None:
        """These are in the blocks at these heights: by a branch now, or by the word of those in `waiting`."""
        later = await aside_if_many(
            len(waiting), lambda: {t: tx for t, tx in transactions.items() if t in waiting}
        )
        told = await self.past.told_before(self.ledger, later)
        now = await aside_if_many(
            len(transactions),
            lambda: {t: tx for t, tx in transactions.items() if t not in later or t in told},
        )
        facts.sightings |= await self.prover.prove(self.source, now, heights)
        believed = await aside_if_many(
            len(later), lambda: {t: tx for t, tx in later.items() if t not in told}
        )
        facts.sightings |= await self.prover.believe(self.source, believed, heights, waiting)

    async def bring_parents(self, facts: Facts, news_above: int) -> list[MissingCoin]:
        """Add to each new sighting the outputs it spends; what of them is ours and was not read yet."""
        wanted = await aside_if_many(len(facts.sightings), partial(_orphans, facts, news_above))
        spent = by_parent(chain.from_iterable(wanted.values()))
        kept = await self.ledger.run(lambda c: knowledge.kept(c, spent)) if spent else {}
        found: dict[Outpoint, TxOutput] = {}
        for txid, known in kept.items():
            found |= outputs_of(parse_transaction(known.raw), spent[txid])
        missing = {txid: points for txid, points in spent.items() if txid not in kept}
        found |= await fetch_outputs(self.source, missing)
        beside = {txid: sighting.tx for txid, sighting in facts.sightings.items()}
        ours: list[MissingCoin] = []
        for txid, points in wanted.items():
            outputs = {point: found[point] for point in points if point in found}
            if parents := outputs | _spent_outputs(beside[txid], beside):
                facts.sightings[txid] = _with_parents(facts.sightings[txid], parents)
            for point, output in outputs.items():
                script = scripthash(output.script_pubkey)
                if point.txid not in kept and script in self.watched and script not in self.too_busy:
                    ours.append(MissingCoin(script, point.txid, txid))
        return ours

    def _is_news(self, claim: Claim, kept: Kept | None) -> bool:
        if kept is None:
            return True
        on_chain = kept.block is not None and self.chain.may_have(kept.block)
        if claim.height is None:
            return not on_chain and not kept.live
        return not on_chain or kept.block is None or kept.block.height != claim.height

    def is_shared(self, claim: Claim) -> bool:
        """Not in a block above the one where the source leaves our chain."""
        return claim.height is None or self.fork is None or claim.height <= self.fork.block.height


def _kept(connection: sqlite3.Connection, claims: Iterable[Claim]) -> dict[Txid, Kept]:
    return knowledge.kept(connection, [claim.txid for claim in claims])


def _turned(loose: Sequence[Txid]) -> list[Txid]:
    """What is in no block, beginning elsewhere each time.

    So each is seen after a while where there is always more than is brought at once.
    """
    at = time.monotonic_ns() % len(loose) if loose else 0
    return [*loose[at:], *loose[:at]]


def _orphans(facts: Facts, news_above: int) -> dict[Txid, list[Outpoint]]:
    """The sightings whose parents are to be brought, and which outputs of these they spend."""
    wanted: dict[Txid, list[Outpoint]] = {}
    for sighting in facts.sightings.values():
        old = isinstance(sighting.position, Confirmed) and sighting.position.block.height <= news_above
        points = [i.outpoint for i in sighting.tx.inputs if i.outpoint.txid not in facts.sightings]
        parents = {point.txid for point in points}
        known = old or sighting.tx.txid in facts.live  # brought when it was seen
        if not (known or sighting.tx.is_coinbase or sighting.parents or len(parents) > MAX_PARENTS):
            wanted[sighting.tx.txid] = points
    return wanted


def is_loose_of_many(sighting: Sighting) -> bool:
    """In no block, and of more transactions than are brought: a coin of ours among them is not seen."""
    parents = {i.outpoint.txid for i in sighting.tx.inputs}
    return isinstance(sighting.position, Unconfirmed) and len(parents) > MAX_PARENTS


def _spent_outputs(tx: Transaction, parents: Mapping[Txid, Transaction]) -> dict[Outpoint, TxOutput]:
    return {
        i.outpoint: parents[i.outpoint.txid].outputs[i.outpoint.vout]
        for i in tx.inputs
        if i.outpoint.txid in parents and i.outpoint.vout < len(parents[i.outpoint.txid].outputs)
    }


def _with_parents(sighting: Sighting, outputs: Mapping[Outpoint, TxOutput]) -> Sighting:
    return Sighting(
        tx=sighting.tx,
        position=sighting.position,
        trust=sighting.trust,
        sources=sighting.sources,
        block_time=sighting.block_time,
        siblings=sighting.siblings,
        parents=outputs,
    )
