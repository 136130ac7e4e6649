"""Judges balances and claims whenever the ledger or the config has changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.app.balances import judge_balances
from watcher.app.claims import judge_claims, tell_claims
from watcher.ledger.queries import last_sequence, tip

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import NoReturn

    from watcher.app.current import Accepted, Current
    from watcher.app.deliveries import Deliveries
    from watcher.core.claims import ClaimState
    from watcher.ledger.queries import TipRow
    from watcher.ledger.writer import Writer

# A reorganisation takes coins out of the chain and puts them back a moment later: looking between the
# two would cry wolf, so nothing is judged at each commit.
LOOK_SECONDS: Final = 2.0
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class _Seen:
    accepted: Accepted
    sequence: int
    tip: TipRow | None
    hour: int


@dataclass(frozen=True, slots=True)
class _Found:
    seen: _Seen
    claims: tuple[ClaimState, ...]
    endpoints: frozenset[str]


class Judge:
    """`claims` is every claim of the config with what was last found about it."""

    def __init__(
        self, current: Current, *, writer: Writer, deliveries: Deliveries, now_ms: Callable[[], int]
    ) -> None:
        self._current = current
        self._writer = writer
        self._deliveries = deliveries
        self._now_ms = now_ms
        self._seen: _Seen | None = None
        self.claims: tuple[ClaimState, ...] = ()

    async def run(self) -> NoReturn:
        """Look, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Judge all of it in one unit of work, unless nothing has changed since."""
        accepted, at_ms = self._current.now, self._now_ms()
        found = await self._writer.run(lambda c: self._judge(c, accepted, at_ms))
        if found is None:
            return
        # only now: a unit that the disk refused is tried again from the beginning
        self._seen, self.claims = found.seen, found.claims
        for endpoint in found.endpoints:
            self._deliveries.ring(endpoint)

    def _judge(self, connection: sqlite3.Connection, accepted: Accepted, at_ms: int) -> _Found | None:
        # by the hour too: a day ends, whether or not a block comes
        seen = _Seen(accepted, last_sequence(connection), tip(connection), at_ms // _HOUR_MS)
        if seen == self._seen:
            return None
        told = list(judge_balances(connection, accepted.config, accepted.settings, at_ms))
        states = list(judge_claims(connection, accepted.config, at_ms))
        told += tell_claims(connection, accepted.settings, states, at_ms)
        endpoints = frozenset(endpoint for committed in told for endpoint in committed.endpoints)
        return _Found(seen, tuple(states), endpoints)
