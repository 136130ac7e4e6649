"""The watch list changed: what a treasury's known transactions mean with the list as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from watcher.core.known import State
from watcher.core.meaning import meaning

if TYPE_CHECKING:
    from watcher.core.known import Entry, Known
    from watcher.core.meaning import Meaning


@dataclass(frozen=True, slots=True)
class Reclassified:
    """An entry with its new meaning; news where people were told another flow.

    It has left the treasury where no script of the treasury is in it any more.
    """

    entry: Entry
    meaning: Meaning
    is_news: bool


def reclassify(known: Known, treasury: str) -> tuple[Reclassified, ...]:
    """The entries of `treasury` among `known.transactions`, as they read now."""
    result: list[Reclassified] = []
    for transaction in known.transactions.values():
        entry = transaction.entries.get(treasury)
        if entry is None or entry.state is State.LEFT:
            continue
        meant = meaning(transaction.tx, treasury, known.members, known.coins, {}, known.first_spends)
        lives = entry.state in {State.HELD, State.MISSING, State.CONFIRMED}
        after = replace(
            entry,
            state=entry.state if meant.movements else State.LEFT,
            flow=meant.flow,
            amount=meant.amount,
            moved=meant.moved,
            fee=entry.fee if meant.fee is None else meant.fee,
            mixed=meant.mixed,
        )
        is_news = lives and entry.stated is not None and entry.flow is not meant.flow
        result.append(Reclassified(after, meant, is_news))
    return tuple(result)
