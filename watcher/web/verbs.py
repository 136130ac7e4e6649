"""What an operator may ask of the daemon, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.types import Sats
    from watcher.core.rehearsal import Sample


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a test message; `status` is an HTTP code, both figures None where there was no answer."""

    endpoint: str
    event: str
    delivered: bool
    outcome: str
    status: int | None = None
    took_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing was sent: the endpoint is spared until then."""

    endpoint: str
    until: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A notice of a rehearsal: which event, at which step, and what came of it."""

    type: str
    step: str
    verdict: Verdict | Paused


class OverError(ValueError):
    """Something is announced for a time that is over."""


class Verbs(Protocol):
    """What the daemon does for an operator; None where there is nothing of that name."""

    async def test(self, endpoint: str) -> Verdict | Paused | None:
        """Send a test message and wait for the verdict."""

    async def rehearse(self, sample: Sample) -> Sequence[Rehearsal]:
        """Send what the rules would say of a movement; UnknownTreasuryError, Malformed."""

    async def pause(self, endpoint: str, seconds: int, reason: str, by: str) -> int | None:
        """Spare an endpoint; until when, in milliseconds since 1970."""

    def release(self, source: str, reason: str) -> bool | None:
        """Ask a quarantined source again; False: it was in none."""

    async def trust(self, source: str, fingerprint: bytes | None) -> bool | None:
        """Know a source by the certificate with this SHA-256 from now on, or by the next it shows.

        False: its key is not trusted on first use.
        """

    async def note(self, incident: str, text: str, by: str) -> str | None:
        """Append a remark; the event's id."""

    async def expect(
        self, treasury: str, to: Sequence[str], most: Sats, until_ms: int, reason: str, by: str
    ) -> str | None:
        """Announce a movement; the event's id. Malformed for what is no address, OverError for the past."""
