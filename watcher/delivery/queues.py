"""In which order and company deliveries leave: each alone for machines, floods folded for people.

A person reads an outflow first and alone, and 5,000 dust payments as one message. What may be folded
is gathered until no more of it comes, for at most `GATHER_MS`; what must stand alone never waits.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watcher.core.outbox import Leased
    from watcher.delivery.endpoint import Group

# requests under way at once in a lane; deliveries borrowed at once
CONCURRENT: Final = 8
LEND: Final = 256
# alerts in one request: a description may have 8 kB
BATCH: Final = 64

# as many alike as are told in one message; fewer are told one by one
FOLD_FROM: Final = 4
# alike deliveries wait for more until none came for so long, and never longer than the second figure
QUIET_MS: Final = 1_500
GATHER_MS: Final = 10_000
# borrowed at once, and held at most: a body is 20 kB at most, and 1 kB as a rule
PAGE: Final = 512
MOST_HELD: Final = 10_000
MOST_BYTES: Final = 32 * 2**20


class Line:
    """First come, first served, each alone."""

    def __init__(self, concurrent: int = CONCURRENT) -> None:
        self.concurrent = concurrent
        self._waiting: deque[Leased] = deque()

    def wants(self) -> int:
        """A new load when less is left than could be sent at once."""
        return LEND if len(self._waiting) < self.concurrent else 0

    def add(self, deliveries: Iterable[Leased]) -> None:
        """Behind the others."""
        self._waiting.extend(deliveries)

    def take(self) -> Group | None:
        """The first."""
        return (self._waiting.popleft(),) if self._waiting else None

    def ready_ms(self) -> float:
        """At once, where there is one."""
        return 0.0 if self._waiting else math.inf

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()


class Batch(Line):
    """All that waits, in order, as one request; the next when that is answered."""

    def __init__(self) -> None:
        super().__init__(concurrent=1)

    def wants(self) -> int:
        """A new load when the last is on its way."""
        return 0 if self._waiting else BATCH

    def take(self) -> Group | None:
        """Everything, `BATCH` at most."""
        group = tuple(self._waiting)
        self._waiting.clear()
        return group or None


_Likeness: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    delivery: Leased
    like: _Likeness | None  # what it may be folded with; None: it stands alone
    incident: object


class Fold:
    """One message at a time: what must stand alone first, the rest folded where many are alike.

    `now` gives seconds since 1970.
    """

    concurrent: Final = 1

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._held: dict[int, _Held] = {}
        self._bytes = 0

    def wants(self) -> int:
        """All that is due, as far as memory allows: only what is borrowed can be folded."""
        return 0 if self._bytes >= MOST_BYTES else min(PAGE, MOST_HELD - len(self._held))

    def add(self, deliveries: Iterable[Leased]) -> None:
        """In the order they fell due; one borrowed anew keeps its place."""
        for delivery in deliveries:
            if delivery.id not in self._held:
                self._bytes += len(delivery.body)
            head = _decoder.decode(delivery.body)
            self._held[delivery.id] = _Held(delivery, _likeness(head), head.data.incident)

    def take(self) -> Group | None:
        """The first that stands alone; else, when no more of it comes, the first and all that is like it."""
        alone = next((each for each in self._held.values() if each.like is None), None)
        if alone is not None:
            return self._give([alone])
        if self.ready_ms() > self._now() * 1000:
            return None
        first = next(iter(self._held.values()))
        alike = self._alike(first)
        return self._give(alike if len(alike) >= FOLD_FROM else [first])

    def _alike(self, first: _Held) -> list[_Held]:
        """What may be told with it. The sides of a condition stay in turn: the last one is what is so."""
        assert first.like is not None
        about = first.like[1:]
        found: list[_Held] = []
        passed: set[object] = set()  # incidents with earlier news that stays behind: theirs come after it
        for each in self._held.values():
            if each.like == first.like and each.incident not in passed:
                found.append(each)
            elif about[1] is None and each.like is not None and each.like[1:] == about:
                break
            elif each.incident is not None:
                passed.add(each.incident)
        return found

    def ready_ms(self) -> float:
        """When the newest is old enough, or the oldest too old to wait."""
        if not self._held:
            return math.inf
        if any(each.like is None for each in self._held.values()):
            return 0.0
        created = [each.delivery.created_ms for each in self._held.values()]
        ready = min(max(created) + QUIET_MS, min(created) + GATHER_MS)
        # a time further off than we ever wait comes from before the clock was set back
        return ready if ready - self._now() * 1000 <= GATHER_MS else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._bytes = 0

    def _give(self, chosen: list[_Held]) -> Group:
        for each in chosen:
            del self._held[each.delivery.id]
            self._bytes -= len(each.delivery.body)
        return tuple(each.delivery for each in chosen)


class _Told(msgspec.Struct):
    flow: object = None
    treasury: object = None
    source: object = None
    incident: object = None
    severity: object = None


class _Head(msgspec.Struct):
    type: object = None
    data: _Told = msgspec.field(default_factory=_Told)


_decoder: Final = msgspec.json.Decoder(_Head)


def _likeness(head: _Head) -> _Likeness | None:
    told = head.data
    if told.flow == "outflow" or (told.flow is None and told.severity == "critical"):
        return None
    if head.type == "incident.noted":  # what somebody wrote is in no list of titles
        return None
    # of movements a flood is many incidents; else each incident is another claim, source or endpoint
    return (head.type, told.treasury, told.flow, told.source, None if told.flow else told.incident)
