"""Where deliveries go, and what a kind of endpoint must be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from watcher.core.outbox import Leased

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from watcher.delivery.verdict import Verdict

Group: TypeAlias = tuple[Leased, ...]
"""What goes out as one and shares the verdict; never empty."""


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """A place to POST to; everything that may hold a secret stays out of its text form.

    Raises ValueError for a header that HTTP cannot carry.
    """

    name: str
    url: str = field(repr=False)
    allow_private: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not all(name.isascii() and f"{name}{value}".isprintable() for name, value in self.headers):
            raise ValueError(f"a header of endpoint {self.name} holds what HTTP cannot carry")


class Queue(Protocol):
    """What a lane has borrowed and not yet sent, in the order and the groups that its sender wants."""

    @property
    def concurrent(self) -> int:
        """Groups that may be on their way at once."""

    def wants(self) -> int:
        """How many deliveries more it would take now."""

    def add(self, deliveries: Iterable[Leased]) -> None:
        """Take what was borrowed, in the order it fell due; a delivery borrowed anew replaces the old."""

    def take(self) -> Group | None:
        """Give away what is to be sent next; None: nothing yet."""

    def ready_ms(self) -> float:
        """When `take` will give something (milliseconds since 1970), if nothing is added."""

    def clear(self) -> None:
        """Forget everything."""


class Sender(Protocol):
    """Makes one attempt. Every failure is a verdict; an exception is a defect of ours.

    An async context manager: it may own connections.
    """

    async def __aenter__(self) -> Self:
        """Ready to send."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Its connections closed."""

    def queue(self) -> Queue:
        """An empty queue for a lane to this endpoint."""

    async def send(self, group: Group) -> Verdict:
        """Send it once, within a bounded time."""


class Connectionless:
    """What a sender is built on that keeps nothing open between two attempts."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
