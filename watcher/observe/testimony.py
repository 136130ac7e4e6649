"""What each source said of a script, until all say the same: readings are merged here.

A transaction that any source shows is on the script; absent is only what the whole quorum lacks. So one
source that hides cannot make a coin vanish, and one that lags cannot undo what another has shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.core.observation import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from watcher.bitcoin.types import BlockRef, ScriptHash, Txid


# of a history that is merged and that no source has whole: so all of them are read again until one has
NOBODYS: Final = ""


@dataclass(frozen=True, slots=True)
class Testimony:
    """One source's whole history of a script, and the tip of our chain at which it was given."""

    reading: Reading
    tip: BlockRef


class Testimonies:
    """The last testimony of each source about scripts on which not all have said the same yet."""

    def __init__(self) -> None:
        self._said: dict[ScriptHash, dict[str, Testimony]] = {}

    def record(self, source: str, reading: Reading, tip: BlockRef) -> None:
        """The source has read the script."""
        self._said.setdefault(reading.scripthash, {})[source] = Testimony(reading, tip)

    def merged(
        self,
        script: ScriptHash,
        suffices: Callable[[Collection[str]], bool],
        by: Collection[str] | None = None,
    ) -> Reading | None:
        """All that is on the script, once sources that suffice have been heard; of these alone, if given."""
        said = self._said.get(script, {})
        if by is not None:
            said = {source: testimony for source, testimony in said.items() if source in by}
        if not said or not suffices(said.keys()):
            return None
        txids: frozenset[Txid] = frozenset().union(*(t.reading.txids for t in said.values()))
        whole = [t.reading.status for t in said.values() if t.reading.txids == txids]
        return Reading(script, txids, whole[-1] if whole else NOBODYS)

    def settle(self, script: ScriptHash, asked: Collection[str]) -> None:
        """Forget what was said of the script if all that are asked have said the same."""
        said = self._said.get(script)
        if said is None or not said.keys() >= set(asked):
            return
        if len({said[source].reading.txids for source in asked}) == 1:
            del self._said[script]

    def about(self, script: ScriptHash) -> set[str]:
        """Who is remembered to have spoken of the script."""
        return set(self._said.get(script, ()))

    def of(self, source: str, scripts: Iterable[ScriptHash]) -> dict[ScriptHash, frozenset[Txid]]:
        """What the source has said of those of these scripts on which not all have said the same."""
        return {
            script: said[source].reading.txids
            for script in scripts
            if (said := self._said.get(script)) is not None and source in said
        }

    def withdraw(self, source: str) -> set[ScriptHash]:
        """Forget all that one source has said; the scripts of which it had."""
        return self._forget((script, source) for script, said in self._said.items() if source in said)

    def outdated(self, is_ours: Callable[[BlockRef], bool]) -> set[tuple[ScriptHash, str]]:
        """Forget what was said at a block that is not on our chain; what, and by whom."""
        old = {
            (script, source)
            for script, said in self._said.items()
            for source, testimony in said.items()
            if not is_ours(testimony.tip)
        }
        self._forget(old)
        return old

    def forget(self, scripts: Iterable[ScriptHash]) -> None:
        """These are watched no more."""
        for script in scripts:
            self._said.pop(script, None)

    def _forget(self, which: Iterable[tuple[ScriptHash, str]]) -> set[ScriptHash]:
        touched = set()
        for script, source in list(which):
            del self._said[script][source]
            touched.add(script)
            if not self._said[script]:
                del self._said[script]
        return touched
