"""Decides which unconfirmed transactions are facts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.signatures import Verdict, judge_spend
from watcher.bitcoin.types import Confirmed, Outpoint, ScriptHash, Txid
from watcher.ledger import knowledge
from watcher.observe.candidates import Candidates
from watcher.observe.conduct import PHANTOM, SIGNATURE
from watcher.observe.sights import MAX_PARENTS
from watcher.sources.aside import aside_if_many
from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.transactions import TxOutput
    from watcher.core.observation import Reading, Sighting
    from watcher.observe.candidates import Candidate
    from watcher.observe.facts import Facts
    from watcher.observe.proving import Ledger
    from watcher.observe.quorum import Quorum


@dataclass(frozen=True, slots=True)
class Caught:
    """A source's false answer, and the scripts of which others may have said the same."""

    source: str
    error: Misbehaved
    scripts: frozenset[ScriptHash] = frozenset()


class Jury:
    """Holds what is not a fact yet; `may_learn` names the sources that may be asked for some scripts."""

    def __init__(
        self,
        quorum: Callable[[], Quorum],
        ledger: Ledger,
        may_learn: Callable[[Collection[ScriptHash]], tuple[str, ...]],
    ) -> None:
        self._quorum = quorum
        self._ledger = ledger
        self._may_learn = may_learn
        self._candidates = Candidates()
        self._caught: list[Caught] = []

    @property
    def waiting(self) -> Sequence[Candidate]:
        """What is not a fact yet, the oldest first."""
        return self._candidates.all()

    @property
    def waits_on(self) -> AbstractSet[ScriptHash]:
        """The scripts in whose histories something is no fact yet."""
        return self._candidates.scripts

    def withdraw(self, source: str) -> None:
        """The source's word is worth nothing for now."""
        self._candidates.withdraw(source)

    def caught(self) -> list[Caught]:
        """What sources were caught at since it was asked last."""
        caught, self._caught = self._caught, []
        return caught

    async def facts(
        self,
        source: str,
        facts: Facts,
        merged: Mapping[ScriptHash, Reading],
        watched: Collection[ScriptHash],
    ) -> dict[Txid, Sighting]:
        """The sightings that are facts, of what this source has just shown and of what waited for it.

        `merged` are the readings that the quorum has given now.
        """
        told = await aside_if_many(
            len(facts.sightings),
            lambda: {t: s for t, s in facts.sightings.items() if isinstance(s.position, Confirmed)},
        )
        for candidate in self._candidates.touched(told, ()):
            self._candidates.forget(candidate.txid)
        self._take_down(source, facts, told)
        touched = self._candidates.touched(facts.sightings.keys(), merged)
        if not touched:
            return told
        spent = {i.outpoint for candidate in touched for i in candidate.sighting.tx.inputs}
        coins, spenders = await self._ledger.run(
            lambda c: (knowledge.coins(c, spent), knowledge.live_spenders(c, spent))
        )
        rivals = frozenset[Txid]().union(*spenders.values())
        lie_on = await self._ledger.run(lambda c: knowledge.scripts_of(c, rivals)) if rivals else {}
        standing = {t: on for t, on in lie_on.items() if not _is_gone(t, on, merged)}
        parents = self._candidates.touched({point.txid for point in spent}, ())
        waiting = _outputs({parent.txid: parent.sighting for parent in parents})
        for candidate in _parents_first(touched):
            points = [i.outpoint for i in candidate.sighting.tx.inputs]
            rivals = frozenset[Txid]().union(*(spenders.get(p, ()) for p in points)) - {candidate.txid}
            # what spends from one that waits for the end of its rival waits with it
            withheld = {
                parent.txid: parent.awaits
                for parent in self._candidates.touched({point.txid for point in points}, ())
                if parent.awaits
            }
            awaited = [standing[t] for t in rivals if t in standing]
            candidate.awaits = frozenset[ScriptHash]().union(*awaited, *withheld.values())
            facts_now = coins | _outputs(told)
            if withheld:
                facts_now = {point: coin for point, coin in facts_now.items() if point.txid not in withheld}
            if await self._is_fact(candidate, facts_now, waiting, watched):
                told[candidate.txid] = candidate.as_told(self._quorum().trust(candidate.sources))
                self._candidates.forget(candidate.txid)
        return told

    def _take_down(self, source: str, facts: Facts, told: Collection[Txid]) -> None:
        """Who has shown what, and where; `told` are facts already."""
        for txid, sighting in facts.sightings.items():
            if txid not in told:
                # what the ledger has has lost its witnesses there
                self._candidates.add(
                    source, sighting, returns=txid in facts.kept, fallen=txid in facts.fallen
                )
        for script, txids in facts.pieces.items():
            self._candidates.stand_on(script, txids)
        for reading in facts.readings.values():
            for gone in self._candidates.read(source, reading):
                self._accuse_of_phantom(source, gone)

    async def _is_fact(
        self,
        candidate: Candidate,
        coins: Mapping[Outpoint, TxOutput],
        waiting: Mapping[Outpoint, TxOutput],
        watched: Collection[ScriptHash],
    ) -> bool:
        """`coins` are outputs of what is a fact, `waiting` those of all that is none yet."""
        tx = candidate.sighting.tx
        known = {**candidate.sighting.parents, **waiting, **coins}
        own = [
            index
            for index, spend in enumerate(tx.inputs)
            if spend.outpoint in known and scripthash(known[spend.outpoint].script_pubkey) in watched
        ]
        if any(tx.inputs[index].outpoint not in coins for index in own):
            return False  # the coin that it spends is no fact yet
        if own and not candidate.proven:
            # off the loop: the worst that a key's owner can make takes most of a second
            verdict = await asyncio.to_thread(judge_spend, tx.raw, own, known)
            if verdict is Verdict.FALSE:
                error = Misbehaved(SIGNATURE, f"{tx.txid} spends a coin of ours, wrongly signed")
                scripts = frozenset(candidate.scripts)
                self._caught += [Caught(source, error, scripts) for source in sorted(candidate.alike)]
                self._candidates.forget(tx.txid)
                return False
            candidate.proven = verdict is Verdict.VALID
        if self._have_all_said_it(candidate, known, watched):
            return not (candidate.returns and candidate.awaits)
        # a signature speaks for a spend of ours alone: a payment to us that was given up has none
        is_signed = candidate.proven and (bool(own) or not candidate.fallen)
        return is_signed and not candidate.awaits

    def _have_all_said_it(
        self,
        candidate: Candidate,
        known: Mapping[Outpoint, TxOutput],
        watched: Collection[ScriptHash],
    ) -> bool:
        """Whether the quorum of each treasury has shown it whose scripts it touches, wherever it was shown.

        One that few may learn needs few, and another's coins are told with it.
        """
        tx = candidate.sighting.tx
        outputs = [*tx.outputs, *(known[i.outpoint] for i in tx.inputs if i.outpoint in known)]
        shown = {script for script in candidate.scripts if script in watched}  # the others have left the list
        touched = shown.union(s for o in outputs if (s := scripthash(o.script_pubkey)) in watched)
        circles = {self._may_learn({script}) for script in touched} or {self._may_learn(())}
        return all(self._quorum().suffices(candidate.sources, among) for among in circles)

    def _accuse_of_phantom(self, source: str, gone: Candidate) -> None:
        """Nobody has it any more, and nobody ever had what it spends: it never was in a mempool."""
        inputs = gone.sighting.tx.inputs
        unknown = any(i.outpoint not in gone.sighting.parents for i in inputs)
        if not gone.sources and unknown and len(inputs) <= MAX_PARENTS:
            error = Misbehaved(PHANTOM, f"{gone.txid} vanished, and its parents do not exist")
            self._caught.append(Caught(source, error))


def _is_gone(txid: Txid, lies_on: Iterable[ScriptHash], readings: Mapping[ScriptHash, Reading]) -> bool:
    """Nobody shows it any more on a script of ours that it is on."""
    read = [readings[script] for script in lies_on if script in readings]
    return bool(read) and not any(txid in reading.txids for reading in read)


def _outputs(sightings: Mapping[Txid, Sighting]) -> dict[Outpoint, TxOutput]:
    return {
        Outpoint(txid, vout): output
        for txid, sighting in sightings.items()
        for vout, output in enumerate(sighting.tx.outputs)
    }


def _parents_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that others spend from before those that spend from them."""
    waiting = {candidate.txid: candidate for candidate in candidates}
    ordered: list[Candidate] = []
    while waiting:
        ready = [
            c for c in waiting.values() if not any(i.outpoint.txid in waiting for i in c.sighting.tx.inputs)
        ]
        ordered += ready
        for candidate in ready:
            del waiting[candidate.txid]
    return ordered
