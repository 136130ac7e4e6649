"""What an endpoint said to one attempt, as data.

Every kind of endpoint maps its answers, errors and silences to one of these at its own wall. A reason
is from a closed list: it becomes a label and a column, and a server's own words become neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, assert_never


class Reason(StrEnum):
    """Why an attempt failed."""

    CONNECTION = "connection"  # refused, reset, or closed before the answer was whole
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    FORBIDDEN_ADDRESS = "forbidden_address"  # the name leads to an address we do not connect to
    PROTOCOL = "protocol"  # an answer that is not HTTP
    REDIRECT = "redirect"  # never followed
    THROTTLED = "throttled"  # 429
    OVERLOADED = "overloaded"  # 502, 503, 504
    STATUS_4XX = "status_4xx"
    STATUS_5XX = "status_5xx"


DELIVERED: Final = "delivered"
GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class Delivered:
    """Accepted."""

    status: int | None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. `after`: seconds the endpoint asked us to wait, already bounded."""

    reason: Reason
    after: float | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the same bytes will not be accepted later either."""

    reason: Reason
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The endpoint wants nothing from us any more (410)."""

    status: int


Verdict: TypeAlias = Delivered | Retry | Rejected | Gone


def outcome_of(verdict: Verdict) -> str:
    """The word for it in the ledger and in metrics: `delivered`, `gone`, or the reason."""
    match verdict:
        case Delivered():
            return DELIVERED
        case Gone():
            return GONE
        case Retry(reason=reason) | Rejected(reason=reason):
            return reason.value
        case _:
            assert_never(verdict)
