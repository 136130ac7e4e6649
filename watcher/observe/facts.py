"""Reads scripts at a source and says what is so: readings and sightings, each with its proof."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Confirmed, Outpoint, Unconfirmed
from watcher.core.observation import Reading, Sighting, Trust
from watcher.ledger import knowledge
from watcher.observe.proving import fetch
from watcher.observe.rivals import find_rivals
from watcher.observe.slices import A_SLICE, slices
from watcher.sources.aside import aside_if_many
from watcher.sources.base import Misbehaved, SourceError, TooBusy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

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
    transactions, whose order, and so the status, no protocol before 1.6 tells. `kept` are sightings that the
    ledger has, and mostly its bytes, without witnesses; `live` are those of them that it has unconfirmed,
    `fallen` those that it has given up.
    `vouched` are scripts read for the first time whose history others have told alike, and who has.
    `pieces` are parts of long histories. `is_paused`: one of these is to be gone on with, from where it is.
    """

    readings: dict[ScriptHash, Reading] = field(default_factory=dict)
    sightings: dict[Txid, Sighting] = field(default_factory=dict)
    unread: set[ScriptHash] = field(default_factory=set)
    too_busy: set[ScriptHash] = field(default_factory=set)
    unordered: set[ScriptHash] = field(default_factory=set)
    kept: set[Txid] = field(default_factory=set)
    live: set[Txid] = field(default_factory=set)
    fallen: set[Txid] = field(default_factory=set)
    vouched: dict[ScriptHash, tuple[str, ...]] = field(default_factory=dict)
    pieces: dict[ScriptHash, frozenset[Txid]] = field(default_factory=dict)
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """One source's answers, turned into facts.

    `fork` is where its chain leaves ours, while it is on another branch: its histories are judged against
    that block, and whole only where all of one lies at or below it. `take` commits a slice of a long history,
    and says whether to go on; without it there are none, and all is held at once.
    """

    source: Source
    chain: OurChain
    prover: Prover
    ledger: Ledger
    watched: Collection[ScriptHash]
    past: Past
    fork: Fork | None = None
    take: Callable[[Facts], Awaitable[bool]] | None = None

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
            more = await self._look(todo, facts, news_above)
            more |= await self._bring_parents(facts, news_above)
            todo = more - facts.readings.keys() - facts.unread - facts.too_busy
        await self._investigate(facts, fork)
        return facts

    async def _look(
        self, scripthashes: Collection[ScriptHash], facts: Facts, news_above: int
    ) -> set[ScriptHash]:
        """Read these; the scripts of ours that what was taken up in slices spends from."""
        answer = await self.source.histories(sorted(scripthashes))
        steady = answer.before.block == answer.after.block == self.chain.tip
        beside = self.fork is not None and answer.before.block == answer.after.block == self.fork.tip
        claims = _claims(answer, facts)
        vouched = await self.past.vouched(claims, answer.statuses)
        more: set[ScriptHash] = set()
        news, kept = await self._news(claims, beside=beside, enough=A_SLICE if self.take else None)
        if len(news) > A_SLICE and self.take:
            # where questions are counted, what all say alike is taken up before it is proven
            trusting = steady and self.source.sweep_seconds(1) > 0
            more = await self._take_up(
                claims, answer.statuses, facts, news_above, beside=beside, trusting=trusting
            )
            if facts.is_paused:
                facts.unread |= claims.keys()
                return more
            news, kept = await self._news(claims, beside=beside)
            if sum(claim.height is not None for claim in news.values()) > A_SLICE:
                facts.unread |= (
                    claims.keys()
                )  # what could not be shown slice by slice is not held at once now
                return more
        facts.live |= {txid for txid, known in kept.items() if known.live}
        lines = sum(map(len, claims.values()))
        waiting = await aside_if_many(lines, partial(self.past.waiting, claims, vouched, news))
        if waiting and not steady:  # it is not known of which branch they were told: to be read again
            facts.unread |= vouched.keys()
            claims = {script: history for script, history in claims.items() if script not in vouched}
            news = {claim.txid: claim for h in claims.values() for claim in h if claim.txid in news}
        elif steady:
            facts.vouched |= vouched
        await self._sight(news, kept, waiting, facts)
        for script, history in claims.items():
            # the last line is of the highest block, or of none
            last = history[-1] if history else None
            whole = last is None or (last.height is not None and self._is_shared(last))
            said = steady or (beside and whole)
            txids = await aside_if_many(len(history), partial(_txids, history))
            if said and all(txid in facts.sightings for txid in news.keys() & txids):
                facts.readings[script] = Reading(script, txids, answer.statuses[script])
            else:
                facts.unread.add(script)
        return more

    async def _news(
        self, histories: Mapping[ScriptHash, Sequence[Claim]], *, beside: bool, enough: int | None = None
    ) -> tuple[dict[Txid, Claim], dict[Txid, Kept]]:
        """What of it the ledger lacks or has elsewhere, and that as it has it; not all beyond `enough`."""
        news: dict[Txid, Claim] = {}
        kept: dict[Txid, Kept] = {}
        claims = chain.from_iterable(histories.values())
        while lines := list(islice(claims, A_SLICE)):
            known = await self.ledger.run(partial(_kept, claims=lines))
            for claim in lines:
                if not self._is_news(claim, known.get(claim.txid)) or (beside and not self._is_shared(claim)):
                    continue
                news[claim.txid] = claim
                if claim.txid in known:
                    kept[claim.txid] = known[claim.txid]
            if enough is not None and len(news) > enough:
                break
        return news, kept

    async def _take_up(
        self,
        histories: Mapping[ScriptHash, Sequence[Claim]],
        statuses: Mapping[ScriptHash, str | None],
        facts: Facts,
        news_above: int,
        *,
        beside: bool,
        trusting: bool,
    ) -> set[ScriptHash]:
        """Commit what the histories have in blocks, slice by slice, one while the next is fetched.

        A transaction in a block is a fact by itself, whoever else says what of its script. The first reading
        of a script is whole with its reading alone, which comes last: who stops here begins nowhere else.
        """
        assert self.take is not None
        ours: set[ScriptHash] = set()
        committed: asyncio.Future[bool] | None = None
        try:
            for piece in slices(histories):
                news, kept = await self._news(piece, beside=beside)
                found = Facts(pieces={script: _txids(lines) for script, lines in piece.items()})
                found.live |= {txid for txid, known in kept.items() if known.live}
                waiting: dict[Txid, tuple[str, ...]] = {}
                if trusting:
                    vouched = {
                        s: n
                        for s in piece
                        if s in self.past.unread and (n := self.past.vouchers(s, statuses[s]))
                    }
                    waiting = self.past.waiting(piece, vouched, news)
                if waiting and committed is not None:
                    await asyncio.wait([committed])  # a coin in it may be a coin of what was read before
                there = await self._sight(news, kept, waiting, found)
                if len(news) >= A_SLICE and not there:
                    raise Misbehaved("history", f"none of {len(news)} transactions that it tells is there")
                ours |= await self._bring_parents(found, news_above)
                if committed is not None and not await committed:
                    facts.is_paused = True
                    break
                committed = asyncio.ensure_future(self.take(found))
            facts.is_paused |= committed is not None and not await committed
        except asyncio.CancelledError:
            if committed is not None:  # it may wait for the disk, as long as that is full
                committed.cancel()
            raise
        finally:
            if committed is not None:  # it ends before anything else is asked; the first error counts
                await asyncio.gather(committed, return_exceptions=True)
        return ours

    async def _sight(
        self,
        news: Mapping[Txid, Claim],
        kept: Mapping[Txid, Kept],
        waiting: Mapping[Txid, tuple[str, ...]],
        facts: Facts,
    ) -> int:
        """A sighting of each claimed transaction that is new or is said to be elsewhere than it was.

        The branches of those in `waiting` are asked for later. Returns how many there are at all.
        """
        transactions = await fetch(self.source, [t for t in news if t not in kept])
        transactions |= {t: parse_transaction(kept[t].raw) for t in news if t in kept}
        facts.kept |= kept.keys()
        facts.fallen |= {txid for txid, known in kept.items() if known.fallen}
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
        return len(transactions)

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
            # what the book has let go of and what nobody has told yet are not alike
            ours, kept = await self.ledger.run(
                lambda c: (knowledge.scripts_of(c, rivals), knowledge.kept(c, rivals))
            )
            facts.kept |= ours.keys()
            facts.fallen |= {txid for txid in ours if kept[txid].fallen}

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


def _kept(connection: sqlite3.Connection, claims: Iterable[Claim]) -> dict[Txid, Kept]:
    return knowledge.kept(connection, [claim.txid for claim in claims])


def _txids(claims: Iterable[Claim]) -> frozenset[Txid]:
    return frozenset(claim.txid for claim in claims)


def _claims(answer: Histories, facts: Facts) -> dict[ScriptHash, Sequence[Claim]]:
    """The histories that came; what became of the others is noted."""
    claims: dict[ScriptHash, Sequence[Claim]] = {}
    for script, history in answer.histories.items():
        if isinstance(history, TooBusy):
            facts.too_busy.add(script)
        elif isinstance(history, Misbehaved):
            raise history
        elif isinstance(history, SourceError):
            facts.unread.add(script)
        else:
            claims[script] = history
            if [claim.height for claim in history[-2:]] == [None, None]:  # which come last
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
