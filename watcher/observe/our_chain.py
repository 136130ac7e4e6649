"""Our chain: the branch with most work that any source has shown; of equal ones, the first complete.

Held in memory from some height on; what is older is in the ledger. A lower tip is never a
reorganisation: nothing is left before a branch with more work is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.bitcoin.headers import header_hash, parse_header, validate_headers, work_of
from watcher.bitcoin.types import BlockRef, Malformed
from watcher.core.observation import ChainChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.networks import Params
    from watcher.bitcoin.types import BlockHash


class OurChain:
    """Headers from `base` to the tip."""

    def __init__(self, params: Params, base: int, raws: Sequence[bytes]) -> None:
        assert raws, "a chain begins with a block that is believed: the genesis or a checkpoint's"
        self._params = params
        self._base = base
        self._raws = list(raws)
        self.tip = BlockRef(base + len(raws) - 1, header_hash(raws[-1]))

    def header(self, height: int) -> bytes | None:
        """The header at `height`, or None where it is not held."""
        index = height - self._base
        return self._raws[index] if 0 <= index < len(self._raws) else None

    def hash_at(self, height: int) -> BlockHash | None:
        """The hash of our block at `height`, or None where it is not held."""
        if height == self.tip.height:
            return self.tip.hash
        raw = self.header(height)
        return None if raw is None else header_hash(raw)

    def has(self, block: BlockRef) -> bool:
        """Whether this block is one of ours."""
        return self.hash_at(block.height) == block.hash

    def may_have(self, block: BlockRef) -> bool:
        """False where the block is known not to be ours: what is below `base` is settled."""
        return block.height < self._base or self.has(block)

    @property
    def base(self) -> int:
        """The lowest height held."""
        return self._base

    def extend(self, start: int, raws: Sequence[bytes]) -> ChainChange | None:
        """The change to the branch `raws` (from height `start`, on a block of ours), if it has more work.

        `Malformed` where the branch breaks a rule of the network or does not start on a block of ours.
        """
        fork_raw = self.header(start - 1)
        if not raws or fork_raw is None or parse_header(raws[0]).previous != header_hash(fork_raw):
            raise Malformed(f"header {start}: it does not link to a block of our chain")
        work = validate_headers(self._params, start_height=start, raws=raws, before=self._before)
        if work <= self.work_from(start):
            return None
        return ChainChange(
            fork=BlockRef(start - 1, header_hash(fork_raw)),
            old_tip=self.tip,
            new_tip=BlockRef(start + len(raws) - 1, header_hash(raws[-1])),
            headers=tuple(raws),
            first=header_hash(raws[0]),
            fork_time=parse_header(fork_raw).time,
            old_tip_time=parse_header(self._raws[-1]).time,
        )

    def work_from(self, start: int) -> int:
        """The work of our blocks from height `start` on."""
        return sum(work_of(parse_header(raw).bits) for raw in self._raws[start - self._base :])

    def adopt(self, change: ChainChange) -> None:
        """Move to the branch; called once the ledger has committed the change."""
        del self._raws[change.fork.height + 1 - self._base :]
        self._raws.extend(change.headers)
        self.tip = change.new_tip

    def _before(self, height: int) -> bytes:
        raw = self.header(height)
        if raw is None:
            raise Malformed(f"header {height}: not held, and a rule needs it")
        return raw
