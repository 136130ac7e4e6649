"""Reads scripts at a source and says what is so: readings and sightings, each with its proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Confirmed, Outpoint, Unconfirmed
from watcher.core.observation import Reading, Sighting, Trust
from watcher.ledger import knowledge
from watcher.observe.proving import fetch
from watcher.observe.rivals import find_rivals
from watcher.sources.aside import aside_if_many
from watcher.sources.base import Misbehaved, SourceError, TooBusy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.ledger.knowledge import Kept
    from watcher.observe.follow import Fork
    from watcher.observe.our_chain import OurChain
    from watcher.observe.past import Past
    from watcher.observe.proving import Ledger, Prover
    from watcher.sources.base import Claim, Histories, Source

MAX_PARENTS: Final = 50  # of one transaction; beyond it its fee stays unknown
MAX_ROUNDS: Final = 8  # a parent may pay another of our scripts, whose parent may …


@dataclass(slots=True)
class Facts:
    """What a look at some scripts found; `unread` are those whose history did not come whole.

    `too_busy` are scripts the source will never answer for. `unordered` are those with several unconfirmed
    transactions, whose order, and so the status, no protocol before 1.6 tells. `kept` are sightings whose
    bytes are the ledger's own, which has no witnesses; `live` are those of them that it has unconfirmed.
    `vouched` are scripts read for the first time whose history others have told alike, and who has.
    """

    readings: dict[ScriptHash, Reading] = field(default_factory=dict)
    sightings: dict[Txid, Sighting] = field(default_factory=dict)
    unread: set[ScriptHash] = field(default_factory=set)
    too_busy: set[ScriptHash] = field(default_factory=set)
    unordered: set[ScriptHash] = field(default_factory=set)
    kept: set[Txid] = field(default_factory=set)
    live: set[Txid] = field(default_factory=set)
    vouched: dict[ScriptHash, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reader:
    """One source's answers, turned into facts.

    `fork` is where its chain leaves ours, while it is on another branch: its histories are judged against
    that block, and whole only where all of one lies at or below it.
    """

    source: Source
    chain: OurChain
    prover: Prover
    ledger: Ledger
    watched: Collection[ScriptHash]
    past: Past
    fork: Fork | None = None

    async def read(self, scripthashes: Iterable[ScriptHash], news_above: int, fork: int) -> Facts:
        """Read these scripts, and those of ours that their transactions lead to.

        What is in a block up to height `news_above` was there before anybody looked; the parents of
        all else are brought, so that a fee is known and a coin of ours is not taken for a stranger's.
        Blocks above height `fork` that the ledger knows have just left our chain.
        """
        facts = Facts()
        todo = set(scripthashes)
        for _ in range(MAX_ROUNDS):
            if not todo:
                break
            await self._look(todo, facts)
            todo = await self._bring_parents(facts, news_above) - facts.readings.keys() - facts.unread
            todo -= facts.too_busy
        await self._investigate(facts, fork)
        return facts

    async def _look(self, scripthashes: Collection[ScriptHash], facts: Facts) -> None:
        answer = await self.source.histories(sorted(scripthashes))
        steady = answer.before.block == answer.after.block == self.chain.tip
        beside = self.fork is not None and answer.before.block == answer.after.block == self.fork.tip
        claims = _claims(answer, facts)
        lines = sum(map(len, claims.values()))
        by_txid = await aside_if_many(
            lines, lambda: {claim.txid: claim for history in claims.values() for claim in history}
        )
        kept = await self.ledger.run(lambda c: knowledge.kept(c, by_txid))
        facts.live |= {txid for txid, known in kept.items() if known.live}
        vouched = await self.past.vouched(claims, answer.statuses)
        news = await aside_if_many(
            lines, lambda: {t: claim for t, claim in by_txid.items() if self._is_news(claim, kept.get(t))}
        )
        if beside:  # what is in a block of its own branch is in none of ours
            news = {txid: claim for txid, claim in news.items() if self._is_shared(claim)}
        waiting = await aside_if_many(lines, partial(self.past.waiting, claims, vouched, news))
        if waiting and not steady:  # it is not known of which branch they were told: to be read again
            facts.unread |= vouched.keys()
            claims = {script: history for script, history in claims.items() if script not in vouched}
            news = {claim.txid: claim for h in claims.values() for claim in h if claim.txid in news}
        elif steady:
            facts.vouched |= vouched
        await self._sight(news, kept, waiting, facts)
        for script, history in claims.items():
            said = steady or (beside and all(claim.height is not None for claim in history))
            settled = partial(self._are_settled, history, kept, facts)
            if said and await aside_if_many(len(history), settled):
                txids = frozenset(claim.txid for claim in history)
                facts.readings[script] = Reading(script, txids, answer.statuses[script])
            else:
                facts.unread.add(script)

    async def _sight(
        self,
        news: Mapping[Txid, Claim],
        kept: Mapping[Txid, Kept],
        waiting: Mapping[Txid, tuple[str, ...]],
        facts: Facts,
    ) -> None:
        """A sighting of each claimed transaction that is new or is said to be elsewhere than it was.

        The branches of those in `waiting` are asked for later.
        """
        transactions = await fetch(self.source, [t for t in news if t not in kept])
        transactions |= {t: parse_transaction(kept[t].raw) for t in news if t in kept}
        facts.kept |= kept.keys()
        heights = await aside_if_many(
            len(news), lambda: {c.txid: c.height for c in news.values() if c.height is not None}
        )
        later = await aside_if_many(
            len(waiting),
            lambda: {t: transactions[t] for t in waiting if t in transactions and t in heights},
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
        for claim in news.values():
            if claim.height is None and claim.txid in transactions:
                facts.sightings[claim.txid] = Sighting(
                    tx=transactions[claim.txid],
                    position=Unconfirmed(),
                    trust=Trust.REPORTED,
                    sources=(self.source.name,),
                )

    async def _bring_parents(self, facts: Facts, news_above: int) -> set[ScriptHash]:
        """Add to each new sighting the outputs it spends; the scripts of ours among them, not yet read."""
        wanted = await aside_if_many(len(facts.sightings), partial(_orphans, facts, news_above))
        missing = sorted({parent for parents in wanted.values() for parent in parents})
        kept = await self.ledger.run(lambda c: knowledge.kept(c, missing)) if missing else {}
        found = {txid: parse_transaction(k.raw) for txid, k in kept.items()}
        found |= await fetch(self.source, [txid for txid in missing if txid not in kept])
        ours: set[ScriptHash] = set()
        for txid in wanted:
            outputs = _spent_outputs(facts.sightings[txid].tx, found)
            if outputs:
                facts.sightings[txid] = _with_parents(facts.sightings[txid], outputs)
            unknown = {o.script_pubkey for point, o in outputs.items() if point.txid not in kept}
            ours |= {script for script in map(scripthash, unknown) if script in self.watched}
        return ours

    async def _investigate(self, facts: Facts, fork: int) -> None:
        """What is not where it was: who spends its coins now? A rival may pay strangers only."""
        unsettled = await self.ledger.run(lambda c: knowledge.unsettled_on(c, facts.readings, fork))
        present = {txid for reading in facts.readings.values() for txid in reading.txids}
        absent = [
            parse_transaction(raw)
            for t, raw in unsettled.items()
            if t not in present and t not in facts.sightings
        ]
        if not absent:
            return
        spent = {i.outpoint for s in facts.sightings.values() for i in s.tx.inputs}
        unexplained = [tx for tx in absent if not any(i.outpoint in spent for i in tx.inputs)]
        if unexplained:
            rivals = await find_rivals(self.source, self.prover, unexplained)
            facts.sightings |= {t: s for t, s in rivals.items() if t not in facts.sightings}

    def _is_news(self, claim: Claim, kept: Kept | None) -> bool:
        if kept is None:
            return True
        on_chain = kept.block is not None and self.chain.may_have(kept.block)
        if claim.height is None:
            return not on_chain and not kept.live
        return not on_chain or kept.block is None or kept.block.height != claim.height

    def _is_shared(self, claim: Claim) -> bool:
        """Not in a block above the one where the source leaves our chain."""
        return claim.height is None or self.fork is None or claim.height <= self.fork.block.height

    def _are_settled(self, claims: Iterable[Claim], kept: Mapping[Txid, Kept], facts: Facts) -> bool:
        """The claims are known to be so, or were shown to be so now."""
        return all(c.txid in facts.sightings or not self._is_news(c, kept.get(c.txid)) for c in claims)


def _claims(answer: Histories, facts: Facts) -> dict[ScriptHash, tuple[Claim, ...]]:
    """The histories that came; what became of the others is noted."""
    claims: dict[ScriptHash, tuple[Claim, ...]] = {}
    for script, history in answer.histories.items():
        if isinstance(history, TooBusy):
            facts.too_busy.add(script)
        elif isinstance(history, Misbehaved):
            raise history
        elif isinstance(history, SourceError):
            facts.unread.add(script)
        else:
            claims[script] = history
            if sum(claim.height is None for claim in history) > 1:
                facts.unordered.add(script)
    return claims


def _orphans(facts: Facts, news_above: int) -> dict[Txid, list[Txid]]:
    """The sightings whose parents are to be brought, and which these are."""
    wanted: dict[Txid, list[Txid]] = {}
    for sighting in facts.sightings.values():
        old = isinstance(sighting.position, Confirmed) and sighting.position.block.height <= news_above
        parents = {i.outpoint.txid for i in sighting.tx.inputs if i.outpoint.txid not in facts.sightings}
        known = old or sighting.tx.txid in facts.live  # brought when it was seen
        if not (known or sighting.tx.is_coinbase or sighting.parents or len(parents) > MAX_PARENTS):
            wanted[sighting.tx.txid] = sorted(parents)
    return wanted


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
