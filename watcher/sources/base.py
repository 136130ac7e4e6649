"""What every kind of source can be asked, and how it may fail.

A source answers questions and is not believed: what it returns are claims, which `watcher.observe`
turns into facts by checking bytes against hashes, branches against headers and headers against work.
Every kind answers the same questions, whole batches at a time, because the way a question is asked
is worth a factor of a thousand on some servers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, overload

import msgspec

from watcher.bitcoin.types import Txid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from watcher.bitcoin.types import BlockRef, ScriptHash

T = TypeVar("T")

TOGETHER: Final = 1_000_000  # bytes of transactions that come in answer to one question, about


class SourceError(Exception):
    """A question without an answer. `reason` is from a closed list; the text stays in our own log."""

    reason = "failed"


class Unavailable(SourceError):
    """No answer now: refused, timed out, throttled, disconnected. Ask again after `retry_after` seconds."""

    reason = "unavailable"

    def __init__(self, text: str, *, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class TooBusy(SourceError):
    """The source will not answer this question, ever (history too large): unsupported there, not zero."""

    reason = "too_busy"


class NotThere(SourceError):
    """The source does not have what was asked for, or not any more (a reorganisation, a replacement)."""

    reason = "not_there"


class Misbehaved(SourceError):
    """An answer that no honest server gives. `reason` names the strike."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class WrongNetwork(SourceError):
    """The source serves another chain."""

    reason = "wrong_network"


class Claim(msgspec.Struct, frozen=True, gc=False):
    """One line of a history as a source tells it. `height` is None for what is in no block.

    A history may have a hundred thousand lines, and the garbage collector need not look at any.
    """

    txid: Txid
    height: int | None


class LongHistory(Sequence[Claim]):
    """A history in 36 bytes a line, each made into a claim when it is looked at.

    As claims it would take two hundred a line, and every source may tell a long one at the same time.
    """

    __slots__ = ("_heights", "_txids")

    def __init__(self, txids: Iterable[str], heights: Iterable[int]) -> None:
        self._txids = b"".join(map(bytes.fromhex, txids))
        self._heights = array("i", heights)  # zero and below are in no block

    def __len__(self) -> int:
        return len(self._heights)

    def __iter__(self) -> Iterator[Claim]:
        return (self[at] for at in range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Claim: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Claim, ...]: ...

    def __getitem__(self, at: int | slice) -> Claim | tuple[Claim, ...]:
        if isinstance(at, slice):
            return tuple(self[one] for one in range(*at.indices(len(self))))
        at = range(len(self))[at]
        height = self._heights[at]
        return Claim(Txid(self._txids[32 * at : 32 * at + 32].hex()), height if height > 0 else None)


@dataclass(frozen=True, slots=True)
class SourceTip:
    """A source's present tip: its place and its raw 80-byte header, not yet checked against anything."""

    block: BlockRef
    header: bytes


@dataclass(frozen=True, slots=True)
class Histories:
    """Whole histories read in one go, with the source's tip as it was before the reading.

    They speak for one moment only where it is the same block when it is asked for behind them. Each value is
    the history in the source's order (confirmed first), or the error that this one script met.
    `statuses` has Electrum's status hash of each history that came.
    """

    before: SourceTip
    histories: Mapping[ScriptHash, Sequence[Claim] | SourceError]
    statuses: Mapping[ScriptHash, str | None]


@dataclass(frozen=True, slots=True)
class Branch:
    """A Merkle branch as claimed: `index` in the block and the siblings, leaf to root, display order."""

    index: int
    siblings: tuple[str, ...]


class Doorbell(Protocol):
    """Rung by a source; carries nothing that is believed. Implemented by `watcher.observe`."""

    def script_rang(self, source: str, scripthash: ScriptHash) -> None:
        """Look again at this script."""

    def tip_rang(self, source: str) -> None:
        """Look again at the tip."""

    def connected(self, source: str) -> None:
        """A new connection: everything may have changed since the last one."""

    def disconnected(self, source: str, why: SourceError) -> None:
        """The connection ended; the source tries again by itself."""


class Source(Protocol):
    """A server that answers questions. Every method raises a `SourceError` when the whole question fails."""

    name: str
    announces: bool
    """Whether it tells of changes unasked; else what it was not asked for since a block it has not told."""

    def hurry(self) -> None:
        """While disconnected, try again now instead of when it would be due."""

    def at_leisure(self) -> AbstractContextManager[None]:
        """What is asked within may wait for room in the server's limits: a first reading, say.

        Everything else is asked as if somebody waited for it.
        """

    def sweep_seconds(self, scripts: int) -> float:
        """How long asking for so many scripts again has to take, for the server's sake; 0: no time at all."""

    async def run(self, doorbell: Doorbell) -> None:
        """Connect, stay connected, ring the bell; returns only when cancelled."""

    @property
    def told_tip(self) -> SourceTip | None:
        """The tip as it told it last, unasked or asked; None where it tells none unasked, or is away."""

    async def tip(self) -> SourceTip:
        """The source's present tip."""

    async def headers(self, start: int, count: int) -> tuple[bytes, ...]:
        """Raw 80-byte headers from height `start`; fewer than `count` where its chain ends, never more."""

    async def watch(
        self, scripthashes: Sequence[ScriptHash]
    ) -> Mapping[ScriptHash, str | SourceError | None]:
        """Ask to be told of changes, and the present status of each script (None: no history).

        A status is Electrum's status hash. Asking again is allowed and re-reads the status: this is
        the periodic question that makes up for lost notifications.
        """

    async def forget(self, scripthashes: Sequence[ScriptHash]) -> None:
        """No longer watch these."""

    async def histories(self, scripthashes: Sequence[ScriptHash]) -> Histories:
        """The complete history of each script, confirmed and unconfirmed."""

    async def transactions(self, txids: Sequence[Txid]) -> Mapping[Txid, bytes | SourceError]:
        """Raw transactions, not yet hashed by anyone.

        Of many that are large some come, and the others are to be asked for again: what comes together is no
        more than a few times `TOGETHER` bytes.
        """

    async def branches(self, where: Sequence[tuple[Txid, int]]) -> Mapping[Txid, Branch | SourceError]:
        """Merkle branches of transactions in the blocks at these heights of the source's chain."""
