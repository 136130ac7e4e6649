"""Unconfirmed transactions that too few have shown: candidates, not facts.

What is in no block has no proof but its signatures. It becomes a fact when the quorum has it, or when it
spends a coin of ours and is rightly signed. A rival of what is in the book already has to have the
quorum itself, or nobody any more who has the other; one that the book has let go of comes back only when
nobody has the other any more: so a story never goes back and forth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.core.observation import Reading, Sighting, Trust

# Held at once; beyond it the oldest are forgotten, and asked for again when told again. A source may invent
# as many as it likes, and parsed one takes some ten times its bytes.
MOST: Final = 10_000
MOST_BYTES: Final = 8_000_000


@dataclass(slots=True)
class Candidate:
    """A transaction, who has shown it, and in the history of which scripts.

    `proven` says that it spends a coin of ours by a right signature, `returns` that the book has had it,
    `fallen` that it has given it up.
    `alike` are those who have shown it with these very witnesses, of which its id says nothing.
    `awaits` are the scripts of its rivals in the book: what is read there may say that these are gone.
    """

    sighting: Sighting
    proven: bool = False
    returns: bool = False
    fallen: bool = False
    awaits: frozenset[ScriptHash] = frozenset()
    sources: set[str] = field(default_factory=set)
    alike: set[str] = field(default_factory=set)
    scripts: set[ScriptHash] = field(default_factory=set)

    @property
    def txid(self) -> Txid:
        """Which transaction."""
        return self.sighting.tx.txid

    def as_told(self, trust: Trust) -> Sighting:
        """The sighting with whom we have it from, and what that is worth."""
        return replace(self.sighting, sources=tuple(sorted(self.sources)), trust=trust)


class Candidates:
    """Those that are not facts yet, by txid and by the script that they were shown on."""

    def __init__(self) -> None:
        self._all: dict[Txid, Candidate] = {}
        self._on: dict[ScriptHash, set[Txid]] = {}
        self._bytes = 0

    def all(self) -> list[Candidate]:
        """The oldest first."""
        return list(self._all.values())

    @property
    def scripts(self) -> AbstractSet[ScriptHash]:
        """Those in whose histories they were shown."""
        return self._on.keys()

    def add(self, source: str, sighting: Sighting, *, returns: bool = False, fallen: bool = False) -> None:
        """The source has shown it; what `returns` was signed rightly when it came in."""
        held = self._all.get(sighting.tx.txid)
        if held is None:
            held = self._all[sighting.tx.txid] = Candidate(sighting)
            self._bytes += sighting.tx.size  # with the witnesses, most of what a liar can make large
        elif sighting.tx.witnesses != held.sighting.tx.witnesses:
            held.alike.clear()  # else who came first could spoil what others show
            self._bytes += sighting.tx.size - held.sighting.tx.size
        held.sighting = replace(sighting, parents={**held.sighting.parents, **sighting.parents})
        held.sources.add(source)
        held.alike.add(source)
        held.proven |= returns
        held.returns |= returns
        held.fallen |= fallen
        while len(self._all) > MOST or self._bytes > MOST_BYTES:
            self.forget(next(iter(self._all)))

    def stand_on(self, script: ScriptHash, txids: AbstractSet[Txid]) -> None:
        """These were shown in the script's history."""
        for txid in txids & self._all.keys():
            self._all[txid].scripts.add(script)
            self._on.setdefault(script, set()).add(txid)

    def read(self, source: str, reading: Reading) -> list[Candidate]:
        """The source has read a script to us; those that it has shown there and does not have any more.

        One that nobody has any more is forgotten.
        """
        script = reading.scripthash
        self.stand_on(script, reading.txids)
        gone = []
        for txid in self._on.get(script, set()) - reading.txids:
            held = self._all[txid]
            if source in held.sources:
                gone.append(held)
                self._leave(source, held)
        return gone

    def touched(self, txids: Collection[Txid], scripts: Collection[ScriptHash]) -> list[Candidate]:
        """Those of these ids, and those that were shown on these scripts or have a rival on one."""
        if not self._all:
            return []
        found = {txid for txid in txids if txid in self._all}
        found.update(txid for script in scripts for txid in self._on.get(script, ()))
        if scripts:
            withheld = (held for held in self._all.values() if held.awaits)
            found.update(held.txid for held in withheld if not held.awaits.isdisjoint(scripts))
        return [self._all[txid] for txid in sorted(found & self._all.keys())]

    def forget(self, txid: Txid) -> None:
        """It is a fact now, or not one for ever."""
        held = self._all.pop(txid, None)
        if held is None:
            return
        self._bytes -= held.sighting.tx.size
        for script in held.scripts:
            self._on[script].discard(txid)
            if not self._on[script]:
                del self._on[script]

    def withdraw(self, source: str) -> None:
        """The source's word is worth nothing for now."""
        for held in list(self._all.values()):
            self._leave(source, held)

    def _leave(self, source: str, held: Candidate) -> None:
        held.sources.discard(source)
        if not held.sources:
            self.forget(held.txid)
