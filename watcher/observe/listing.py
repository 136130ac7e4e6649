"""The watch list while it is watched: whose each script is, what is known of it, and who may be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash
    from watcher.ledger.knowledge import WatchedScript
    from watcher.observe.quorum import Quorum


@dataclass(slots=True)
class Listing:
    """Every script with its treasury and, where it has a history, its status as the quorum last gave it.

    `unread` are those it never gave, `counted` those of them of which the ledger has all that a source told
    slice by slice; `by_source` are the scripts that each source may be asked for. What is in a block up to
    height `past` was there before any of them was watched; `is_anchored` says whether all of them are watched
    from some block on. Of the `unsettled` the history says less than it should, as of the last commit.
    `names` are the treasuries that have any of them.
    """

    treasuries: dict[ScriptHash, str] = field(default_factory=dict)
    statuses: dict[ScriptHash, str] = field(default_factory=dict)  # most of a long list have none
    unread: set[ScriptHash] = field(default_factory=set)
    counted: set[ScriptHash] = field(default_factory=set)
    by_source: Mapping[str, AbstractSet[ScriptHash]] = field(default_factory=dict)
    names_by_source: Mapping[str, frozenset[str]] = field(default_factory=dict)
    past: int = -1
    is_anchored: bool = False
    unsettled: AbstractSet[ScriptHash] = frozenset()
    names: frozenset[str] = frozenset()

    def learn(self, script: ScriptHash, status: str | None) -> None:
        """The quorum has given it; what is not on the list is passed over."""
        if status is None:
            self.statuses.pop(script, None)
        elif script in self.treasuries:
            self.statuses[script] = status

    def of(self, source: str) -> AbstractSet[ScriptHash]:
        """The scripts that the source may be asked for."""
        return self.by_source.get(source, frozenset())

    def treasuries_of(self, scripts: Iterable[ScriptHash]) -> set[str]:
        """Whose these are."""
        for source, whole in self.by_source.items():
            if scripts is whole:  # asked after each ring, and there may be a hundred thousand
                return set(self.names_by_source[source])
        return {self.treasuries[script] for script in scripts if script in self.treasuries}

    def may_learn(self, quorum: Quorum, scripts: Collection[ScriptHash]) -> tuple[str, ...]:
        """The sources that may be asked for all of these."""
        treasuries = self.treasuries_of(scripts)
        return tuple(
            name
            for name, witness in quorum.witnesses.items()
            if all(witness.may_learn(treasury) for treasury in treasuries)
        )

    def counts(self, scripts: Iterable[ScriptHash]) -> dict[str, int]:
        """How many of these each treasury has."""
        counts = dict.fromkeys(self.treasuries.values(), 0)
        for script in scripts:
            if script in self.treasuries:
                counts[self.treasuries[script]] += 1
        return counts


def listing(rows: Collection[WatchedScript], past: int, quorum: Quorum) -> Listing:
    """The ledger's list, as these sources may be asked for it."""
    treasuries = {row.scripthash: row.treasury for row in rows}
    circles = {witness.treasuries for witness in quorum.witnesses.values()}
    names = frozenset(treasuries.values())
    # mostly a source may be asked for all, and a second set of a long list would be megabytes
    scripts: dict[frozenset[str], AbstractSet[ScriptHash]] = {
        circle: treasuries.keys()
        if names <= circle
        else frozenset(script for script, treasury in treasuries.items() if treasury in circle)
        for circle in circles
    }
    return Listing(
        treasuries=treasuries,
        statuses={row.scripthash: row.status for row in rows if row.status is not None},
        unread={row.scripthash for row in rows if not row.read},
        by_source={name: scripts[witness.treasuries] for name, witness in quorum.witnesses.items()},
        names_by_source={name: names & witness.treasuries for name, witness in quorum.witnesses.items()},
        past=past,
        names=names,
    )
