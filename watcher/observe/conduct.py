"""How sources behave: strikes, the quarantine they lead to, and what was caught to be left out.

A strike is an answer that no honest server gives. One alone may be a race or a bug; it weighs less with
time. What is proven to be hidden or forged weighs enough by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from watcher.bitcoin.types import ScriptHash, Txid

HALF_LIFE_SECONDS: Final = 3600.0
ENOUGH: Final = 2.5  # strikes, as they weigh now: three in half an hour
FIRST_QUARANTINE_SECONDS: Final = 600.0  # doubled each time, as long as the last is not forgotten
LONGEST_QUARANTINE_SECONDS: Final = 6 * 3600.0
OMITTED: Final = "omitted"
SIGNATURE: Final = "signature"
PHANTOM: Final = "phantom"
_GRAVE: Final = frozenset({OMITTED, SIGNATURE})


@dataclass(slots=True)
class _Record:
    weight: float = 0.0
    at: float = 0.0
    convictions: int = 0
    until: float = 0.0
    reason: str | None = None  # of the last conviction, until the source has shown itself honest again
    missing: dict[tuple[ScriptHash, Txid], float] = field(default_factory=dict)


class Conduct:
    """Every source's record; `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float], second_look: float) -> None:
        self._clock = clock
        self._second_look = second_look
        self._records: dict[str, _Record] = {}
        self.strikes: Counter[tuple[str, str]] = Counter()

    def strike(self, source: str, reason: str) -> bool:
        """Note it; True where it leads to a quarantine."""
        now, record = self._clock(), self._of(source)
        self.strikes[source, reason] += 1
        record.weight *= 0.5 ** ((now - record.at) / HALF_LIFE_SECONDS)
        record.weight += ENOUGH if reason in _GRAVE else 1.0
        record.at = now
        if record.weight < ENOUGH:
            return False
        lately = now - record.until < LONGEST_QUARANTINE_SECONDS
        record.convictions = record.convictions + 1 if lately else 1
        length = FIRST_QUARANTINE_SECONDS * 2 ** (record.convictions - 1)
        record.until = now + min(length, LONGEST_QUARANTINE_SECONDS)
        record.weight, record.reason = 0.0, reason
        return True

    def quarantined_for(self, source: str) -> float:
        """Seconds until it is asked again; 0 where it is asked."""
        return max(0.0, self._of(source).until - self._clock())

    def convicted_of(self, source: str) -> str | None:
        """The reason of its last quarantine, until it has shown itself honest since."""
        return self._of(source).reason

    def release(self, source: str) -> bool:
        """End its quarantine; False where it was in none."""
        was = self.quarantined_for(source) > 0
        record = self._of(source)
        record.until, record.weight = 0.0, 0.0
        record.missing.clear()
        return was

    def absolve(self, source: str) -> None:
        """It has answered for everything and left out nothing."""
        record = self._of(source)
        if not record.missing and not self.quarantined_for(source):
            record.reason = None

    def read(self, source: str, script: ScriptHash, lacking: Iterable[Txid]) -> Txid | None:
        """It read the script to us without these proven transactions; one it lacks for the second time.

        Twice, a second look apart: the first may be a race between its index and its tip.
        """
        now, record = self._clock(), self._of(source)
        lacks = {(script, txid) for txid in lacking}
        for known in [key for key in record.missing if key[0] == script and key not in lacks]:
            del record.missing[known]
        caught = None
        for key in sorted(lacks):
            if now - record.missing.setdefault(key, now) >= self._second_look:
                record.missing[key] = now
                caught = key[1]
        return caught

    def forget(self, source: str, scripts: Collection[ScriptHash]) -> None:
        """It is not asked for these any more, and cannot show what was missing there."""
        record = self._of(source)
        for known in [key for key in record.missing if key[0] in scripts]:
            del record.missing[known]

    def to_look_at_again(self, source: str) -> set[ScriptHash]:
        """Scripts in whose history it lacked something."""
        return {script for script, _ in self._of(source).missing}

    def _of(self, source: str) -> _Record:
        return self._records.setdefault(source, _Record())
