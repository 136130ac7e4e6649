"""The second pass of a first reading: branches that were left for later, each asked of one source."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.transactions import parse_transaction
from watcher.ledger.unproven import counts, unproven
from watcher.observe.pace import Pace
from watcher.sources.base import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from watcher.bitcoin.types import Txid
    from watcher.core.observation import Sighting
    from watcher.observe.proving import Ledger, Prover
    from watcher.sources.base import Source

AT_ONCE: Final = 200
AT_ONCE_WITHIN_LIMITS: Final = 20  # where each question is counted: the bell is looked at in between
PATIENCE_SECONDS: Final = 5.0


class SecondPass:
    """Which branches are in whose hands; `is_over` where the ledger has none that waits.

    `waiting` is how many each treasury has, as of the last round. Between two rounds nothing is held but the
    txids that a source lacks.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self.is_over = False
        self.waiting: Mapping[str, int] = {}
        self.pace = Pace(clock)
        self._choosing = asyncio.Lock()  # one at a time: else two that ask together are given the same
        self._in_hand: set[Txid] = set()
        self._lacking: dict[str, set[Txid]] = {}

    def begin(self) -> None:
        """There are some now."""
        self.is_over = False

    def forget(self, source: str) -> None:
        """What it did not have it may have after a new connection."""
        self._lacking.pop(source, None)

    async def round(
        self, source: Source, prover: Prover, treasuries: Collection[str]
    ) -> tuple[dict[Txid, Sighting], float | None]:
        """What the source has proven of these treasuries, and the seconds until it is asked for more.

        None where there is no more for it to do. A branch that does not fold is `Misbehaved`, and all of
        the round is another's to prove.
        """
        lacking = self._lacking.setdefault(source.name, set())
        most = AT_ONCE_WITHIN_LIMITS if source.sweep_seconds(1) else AT_ONCE
        async with self._choosing:
            if self.is_over:
                return {}, None
            skipped = self._in_hand | lacking
            rows, self.waiting = await self._ledger.run(
                lambda c: (unproven(c, most, treasuries, skipped), counts(c))
            )
            if not rows:
                self.is_over = not skipped and not self.waiting
                return {}, None
            asked = {row.txid for row in rows}
            self._in_hand |= asked
        try:
            with source.at_leisure():
                proven = await prover.prove(
                    source,
                    {row.txid: parse_transaction(row.raw) for row in rows},
                    {row.txid: row.height for row in rows},
                )
        except Unavailable as error:
            return {}, max(PATIENCE_SECONDS, error.retry_after or 0.0)
        except BaseException:
            lacking |= asked
            raise
        finally:
            self._in_hand -= asked
        lacking |= asked - proven.keys()
        self.pace.did(len(proven))
        return proven, 0.0
