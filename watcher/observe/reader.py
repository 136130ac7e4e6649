"""Reads scripts at a source and says what is so: readings and sightings, each with its proof."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Confirmed, Unconfirmed
from watcher.core.observation import Reading
from watcher.ledger import knowledge
from watcher.observe.candidates import MOST
from watcher.observe.facts import Facts
from watcher.observe.rivals import find_rivals
from watcher.observe.sights import MissingCoin, Sights, is_loose_of_many
from watcher.observe.slices import A_SLICE, a_slice, slices
from watcher.sources.aside import aside_if_many
from watcher.sources.base import Misbehaved, SourceError, TooBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from watcher.bitcoin.types import BlockRef, ScriptHash, Txid
    from watcher.sources.base import Claim, Histories, SourceTip

MAX_ROUNDS: Final = 8  # a parent may pay another of our scripts, whose parent may …


@dataclass(frozen=True, slots=True)
class Reader(Sights):
    """One source's answers, turned into facts.

    While it is on another branch its histories are judged against the block where that leaves ours, and are
    whole only where all of one lies at or below it. `take` commits a slice of a long history, and says
    whether to go on; without it there are none, and all is held at once.
    """

    take: Callable[[Facts], Awaitable[bool]] | None = None

    async def read(self, scripthashes: Iterable[ScriptHash], news_above: int, fork: int) -> Facts:
        """Read these scripts, and those of ours that their transactions lead to.

        What is in a block up to height `news_above` was there before anybody looked; the parents of
        all else are brought, so that a fee is known and a coin of ours is not taken for a stranger's.
        Blocks above height `fork` that the ledger knows have just left our chain.
        """
        facts = Facts()
        unsettled: dict[Txid, bytes] = {}
        found_on_the_way: set[ScriptHash] = set()
        coins: list[MissingCoin] = []
        todo = set(scripthashes)
        for _ in range(MAX_ROUNDS):
            if not todo:
                break
            if found_on_the_way:
                news_above = await self.ledger.run(
                    partial(knowledge.past_of, scripts=todo, at_most=news_above)
                )
            more = await self._look(todo, facts, news_above)
            ours, unsettled = await asyncio.gather(
                self.bring_parents(facts, news_above),
                self.ledger.run(lambda c: knowledge.unsettled_on(c, facts.readings, fork)),
            )
            coins += ours
            found_on_the_way = more | {coin.script for coin in ours}
            todo = found_on_the_way - facts.readings.keys() - facts.unread - facts.too_busy
        await self._investigate(facts, unsettled)
        coins += await self.bring_parents(facts, news_above)  # of rivals
        _wait_for_coins(facts, coins)  # last: what waits still explains what is gone
        return facts

    async def _look(
        self, scripthashes: Collection[ScriptHash], facts: Facts, news_above: int
    ) -> set[ScriptHash]:
        """Read these; the scripts of ours that what was taken up in slices spends from."""
        answer = await self.source.histories(sorted(scripthashes))
        # asked beside what the histories lead to: an alarm waits for one answer less
        behind = asyncio.ensure_future(self.source.tip())
        try:
            return await self._take_in(answer, behind, facts, news_above)
        finally:
            behind.cancel()
            await asyncio.gather(behind, return_exceptions=True)

    async def _take_in(
        self, answer: Histories, behind: asyncio.Future[SourceTip], facts: Facts, news_above: int
    ) -> set[ScriptHash]:
        """What the histories tell is so where the tip `behind` them is the one before them."""
        ours = self.chain.tip

        async def stood_at(tip: BlockRef) -> bool:
            return answer.before.block == (await behind).block == tip

        beside = self.fork is not None and await stood_at(self.fork.tip)
        claims = _claims(answer, facts)
        vouched = await self.past.vouched(claims, answer.statuses)
        more: set[ScriptHash] = set()
        # at one that announces nothing other scripts have their turn between two slices, and only there
        size = A_SLICE if self.source.announces else a_slice(self.source.sweep_seconds(1))
        news, kept = await self.news(claims, beside=beside, enough=size if self.take else None)
        # the ledger may have it for another script: then it is no news, and still to be counted for this one
        first = {
            script: len(history)
            for script, history in claims.items()
            if script in self.past.unread and script not in self.past.counted
        }
        if self.take and max(len(news), sum(first.values())) > size:
            # where questions are counted, what all say alike is taken up before it is proven
            trusting = self.source.sweep_seconds(1) > 0 and await stood_at(ours)
            more = await self._take_up(
                claims, answer.statuses, facts, news_above, size=size, beside=beside, trusting=trusting
            )
            if facts.is_paused:
                facts.unread |= claims.keys()
                return more
            news, kept = await self.news(claims, beside=beside, enough=A_SLICE, shown=facts.shown)
            if len(news) > A_SLICE:  # what could not be shown slice by slice is not held at once now
                facts.unread |= claims.keys()
                return more
            self.past.counted.update(first)
        facts.live |= {txid for txid, known in kept.items() if known.live}
        lines = sum(map(len, claims.values()))
        waiting = await aside_if_many(lines, partial(self.past.waiting, claims, vouched, news))
        if waiting and not await stood_at(ours):
            # it is not known of which branch they were told: to be read again
            facts.unread |= vouched.keys()
            claims = {script: history for script, history in claims.items() if script not in vouched}
            news = {claim.txid: claim for h in claims.values() for claim in h if claim.txid in news}
        elif vouched and await stood_at(ours):
            facts.vouched |= vouched
        await self.sight(news, kept, waiting, facts)
        steady = await stood_at(ours)
        for script, history in claims.items():
            # the last line is of the highest block, or of none
            last = history[-1] if history else None
            whole = last is None or (last.height is not None and self.is_shared(last))
            said = steady or (beside and whole)
            txids = await aside_if_many(len(history), partial(_txids, history))
            if said and all(txid in facts.sightings for txid in news.keys() & txids):
                facts.readings[script] = Reading(script, txids, answer.statuses[script])
            else:
                facts.unread.add(script)
        return more

    async def _take_up(
        self,
        histories: Mapping[ScriptHash, Sequence[Claim]],
        statuses: Mapping[ScriptHash, str | None],
        facts: Facts,
        news_above: int,
        *,
        size: int,
        beside: bool,
        trusting: bool,
    ) -> set[ScriptHash]:
        """Commit what the histories have, slice by slice, one while the next is fetched.

        A transaction in a block is a fact by itself, whoever else says what of its script; one in none is
        held until enough have shown it. The first reading of a script is whole with its reading alone, which
        comes last: who stops here begins nowhere else.
        """
        assert self.take is not None
        ours: set[ScriptHash] = set()
        apart: set[Txid] = set()  # for the last look, which holds no more than a slice
        committed: asyncio.Future[bool] | None = None
        try:
            for piece in slices(histories, size):
                # where questions are dear nothing is fetched before it is known that there is going on
                if committed is not None and size < A_SLICE and not await committed:
                    facts.is_paused = True
                    break
                news, kept = await self.news(piece, beside=beside)
                found = Facts(pieces={script: _txids(lines) for script, lines in piece.items()})
                found.live |= {txid for txid, known in kept.items() if known.live}
                waiting = self._waiting(piece, statuses, news) if trusting else {}
                if waiting and committed is not None:
                    await asyncio.wait([committed])  # a coin in it may be a coin of what was read before
                there = await self.sight(news, kept, waiting, found)
                if len(news) >= A_SLICE and not there:
                    raise Misbehaved("history", f"none of {len(news)} transactions that it tells is there")
                if committed is not None and not await committed:
                    facts.is_paused = True
                    break
                spent = await self.bring_parents(found, news_above)
                ours |= {coin.script for coin in spent}
                apart |= news.keys() - found.sightings.keys() | _before_their_coin(spent, found)
                found.set_apart(apart)
                if len(apart) > A_SLICE:
                    break
                committed = asyncio.ensure_future(self.take(found))
                _note_shown(found, facts)
            facts.is_paused |= committed is not None and not await committed
        except asyncio.CancelledError:
            if committed is not None:  # it may wait for the disk, as long as that is full
                committed.cancel()
            raise
        finally:
            if committed is not None:  # it ends before anything else is asked; the first error counts
                await asyncio.gather(committed, return_exceptions=True)
        return ours

    def _waiting(
        self,
        piece: Mapping[ScriptHash, Sequence[Claim]],
        statuses: Mapping[ScriptHash, str | None],
        news: Mapping[Txid, Claim],
    ) -> dict[Txid, tuple[str, ...]]:
        """What of a slice may be proven later, with who vouches for it."""
        vouched = {
            script: names
            for script in piece
            if script in self.past.unread and (names := self.past.vouchers(script, statuses[script]))
        }
        return self.past.waiting(piece, vouched, news)

    async def _investigate(self, facts: Facts, unsettled: Mapping[Txid, bytes]) -> None:
        """What is not where it was: who spends its coins now? A rival may pay strangers only."""
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


def _wait_for_coins(facts: Facts, coins: Iterable[MissingCoin]) -> None:
    """Leave out what is in a block and spends a coin of ours that was not shown, and the readings it is in.

    Told without it an outflow would be an inflow of its change, until the coin comes. The script that the
    coin lies on was refused for the moment, its history lacks the coin, or was told before the block came;
    for one that the source will never answer for nothing waits.
    """
    waits = {
        coin.spender
        for coin in coins
        if coin.txid not in facts.sightings
        and coin.script not in facts.too_busy
        and _is_in_block(coin, facts)
    }
    loose = {txid for txid, sighting in facts.sightings.items() if isinstance(sighting.position, Unconfirmed)}
    if loose:
        waits |= {
            txid
            for txid, sighting in facts.sightings.items()
            if isinstance(sighting.position, Confirmed)
            and any(spent.outpoint.txid in loose for spent in sighting.tx.inputs)
        }
    if not waits:
        return
    facts.set_apart(waits)
    left = {script for script, reading in facts.readings.items() if not waits.isdisjoint(reading.txids)}
    facts.unread |= left
    for script in left:
        del facts.readings[script]


def _is_in_block(coin: MissingCoin, facts: Facts) -> bool:
    """What is in no block waits for its coin with those who judge it, where its parents were brought."""
    spender = facts.sightings.get(coin.spender)
    return spender is not None and isinstance(spender.position, Confirmed)


def _note_shown(found: Facts, facts: Facts) -> None:
    """What of a slice is in no block; more of it than they take is not held by those who wait for others."""
    if len(facts.shown) < MOST:
        facts.shown |= {t for t, s in found.sightings.items() if isinstance(s.position, Unconfirmed)}


def _before_their_coin(coins: Iterable[MissingCoin], facts: Facts) -> set[Txid]:
    """Those that could be told without a coin of ours that they spend."""
    in_blocks = {coin.spender for coin in coins if _is_in_block(coin, facts)}
    return in_blocks | {txid for txid, sighting in facts.sightings.items() if is_loose_of_many(sighting)}
