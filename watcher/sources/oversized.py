"""Whose history is longer than a line may be: a connection that ends in such a line does not say.

Only a script that was asked for alone, and broke the connection again, is known to be unsupported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from watcher.sources import wire
from watcher.sources.base import TooBusy, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.asking import Asker
    from watcher.sources.base import Claim, SourceError
    from watcher.sources.session import Session

    History: TypeAlias = tuple[Sequence[Claim], str | None]  # and the status it has

# ElectrumX limits a batch's whole answer to 1 MB: 50 histories of 200 entries, 50 transactions of 10 kB.
LARGE_ANSWERS: Final = 50


class HistoryReader:
    """One server's, over all connections."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._reading = 0  # histories asked for at this moment
        self._suspects: set[ScriptHash] = set()
        self._oversized: set[ScriptHash] = set()

    async def read(
        self, session: Session, scripthashes: Sequence[ScriptHash]
    ) -> dict[ScriptHash, History | SourceError]:
        """Each history, one by one those that an earlier reading may have ended in."""
        told: dict[ScriptHash, History | SourceError] = {
            one: TooBusy("a history longer than a line may be")
            for one in scripthashes
            if one in self._oversized
        }
        suspects = [one for one in scripthashes if one in self._suspects]
        together = [one for one in scripthashes if one not in told and one not in self._suspects]
        for scripts in (together, *([one] for one in suspects)):
            was_over = session.overflowed  # by then nobody asks any more
            self._reading += len(scripts)
            answers = await self._asker.answers(
                session, scripts, wire.ask_history, _read, at_once=LARGE_ANSWERS
            )
            alone = self._reading == 1
            self._reading -= len(scripts)
            unanswered = {one for one, answer in answers.items() if isinstance(answer, Unavailable)}
            self._suspects -= answers.keys() - unanswered
            if session.overflowed and not was_over:
                if alone:
                    self._oversized |= unanswered
                    self._suspects -= unanswered
                else:
                    self._suspects |= unanswered
            told |= answers
        return told


def _read(_scripthash: ScriptHash, raw: msgspec.Raw) -> History:
    return wire.read_history(raw)
