"""What the ledger and the senders say to each other about a delivery.

The ledger lends deliveries out and writes down what became of each attempt; it knows nothing of HTTP,
and a sender knows nothing of SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery lent to a sender until `until_ms`; `attempts` were made before, `body` is what to send.

    `holds` says whether the condition of which it tells the beginning or the end is so now, `overtaken`
    whether later news of its incident has arrived at this endpoint already: what people remark is none.
    """

    id: int
    webhook_id: str
    sequence: int
    attempts: int
    created_ms: int
    until_ms: int
    body: str = field(repr=False)
    holds: bool = False
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """What was due, in the order it fell due, and when the next of what was not lent falls due."""

    deliveries: tuple[Leased, ...]
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The endpoint took it: done."""


@dataclass(frozen=True, slots=True)
class Again:
    """To be tried again, not before `due_ms`."""

    due_ms: int


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt is made; kept, counted, and redelivered on request."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint wants nothing more (410): all that waits for it is dead, until somebody redelivers."""


Fate: TypeAlias = Accepted | Again | Dead | Refused


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt for the ledger; `outcome` is from a closed list, `status` the HTTP code if any."""

    delivery: int
    at_ms: int
    took_ms: int
    outcome: str
    status: int | None
    fate: Fate
