"""What a look at some scripts found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.core.observation import Reading, Sighting


@dataclass(slots=True)
class Facts:
    """What a look at some scripts found; `unread` are those whose history did not come whole.

    `too_busy` are scripts the source will never answer for. `unordered` are those with several unconfirmed
    transactions, whose order, and so the status, no protocol before 1.6 tells. `kept` are sightings that the
    ledger has, and mostly its bytes, without witnesses; `live` are those of them that it has unconfirmed,
    `fallen` those that it has given up.
    `vouched` are scripts read for the first time whose history others have told alike, and who has.
    `pieces` are parts of long histories. `is_paused`: one of these is to be gone on with, from where it is.
    `shown` are those in no block that were handed on with such a part.
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
    shown: set[Txid] = field(default_factory=set)

    def set_apart(self, apart: set[Txid]) -> None:
        """Take out these and what spends from them, which are these from now on.

        Told without a parent that pays us, a transaction is a stranger's, or means something else.
        """
        children: dict[Txid, list[Txid]] = {}
        for txid, sighting in self.sightings.items() if apart else ():
            for spent in sighting.tx.inputs:
                children.setdefault(spent.outpoint.txid, []).append(txid)
        todo = list(apart)
        while todo:
            gone = todo.pop()
            self.sightings.pop(gone, None)
            new = set(children.get(gone, ())) - apart
            apart |= new
            todo += new
