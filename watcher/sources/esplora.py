"""An explorer with Esplora's REST interface as a source: it is asked again and again, and rings at a change.

It tells nothing unasked. Its tip is polled, which rings the bell; scripts are read when the sweep comes.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

from watcher.sources.backoff import Reconnection
from watcher.sources.base import TOGETHER, Histories, SourceError, Unavailable
from watcher.sources.budget import Allowance
from watcher.sources.dial import Authorities
from watcher.sources.explorer import Explorer, each
from watcher.sources.health import HealthRecord
from watcher.sources.names import Names
from watcher.sources.rest import Asking, Rest, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.sources.backoff import Backoff
    from watcher.sources.base import Branch, Claim, Doorbell, SourceTip
    from watcher.sources.dial import Tls
    from watcher.sources.explorer_history import Reading
    from watcher.sources.health import SourceHealth

T = TypeVar("T")

_TRANSACTIONS: Final = 16  # asked for before it is seen how large they are
_SHARE_FOR_POLLS: Final = 4  # of a budget, one request in four at most asks for the tip


class EsploraSource:
    """An explorer at `http(s)://host/api`.

    `clock` gives Unix seconds, `draw` a number in [0, 1). Until it was reached first, and after each
    failure until it is reached again, every question raises `Unavailable` at once.
    """

    protocol = "esplora"
    announces = False
    told_tip = None

    def __init__(  # noqa: PLR0913 - what a server is reached with
        self,
        name: str,
        url: str,
        network: Network,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float],
        tls: Tls | None = None,
        asking: Asking | None = None,
        backoff: Backoff | None = None,
        names: Names | None = None,
    ) -> None:
        self.name = name
        self._url = url
        self._network = network
        self._clock = clock
        self._tls = tls or Authorities()
        self._asking = asking or Asking()
        self._names = names or Names()
        self._record = HealthRecord()
        self._reconnection = Reconnection(name, self._record, backoff, draw)
        self._record.protocol = self.protocol
        self._line: Explorer | None = None
        self._watched: dict[ScriptHash, int] = {}  # when it was read last, by a count
        self._reads = 0

    @property
    def host(self) -> str:
        """The server's host name or address, as configured."""
        return urlsplit(self._url).hostname or ""

    @property
    def port(self) -> int:
        """The port it listens on."""
        parts = urlsplit(self._url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def reached_at(self) -> str | None:
        """The network address at which the server was reached last; None before that or through a proxy."""
        return self._names.address

    def hurry(self) -> None:
        """Try again now instead of when it would be due."""
        self._reconnection.hurry()

    def at_leisure(self) -> AbstractContextManager[None]:
        """Nothing changes: what there is much of waits for the budget in any case."""
        return nullcontext()

    def sweep_seconds(self, scripts: int) -> float:
        """How long asking for so many scripts again has to take: a page each, within the budget."""
        left = 1 - 1 / _SHARE_FOR_POLLS
        return scripts * Allowance(self._asking.budget, 0.0).spacing / left

    async def run(self, doorbell: Doorbell) -> NoReturn:
        """Reach the server, poll its tip, and again after each failure, until cancelled."""
        allowance = Allowance(self._asking.budget, asyncio.get_running_loop().time())
        every = max(self._asking.every, _SHARE_FOR_POLLS * allowance.spacing)
        async with Rest(
            self.name,
            self._url,
            clock=self._clock,
            record=self._record,
            asking=self._asking,
            allowance=allowance,
            tls=self._tls,
            names=self._names,
        ) as rest:
            line = Explorer(rest, self._network, self._record, self._asking)
            await self._reconnection.run(doorbell, lambda: self._connection(line, doorbell, every))

    async def tip(self) -> SourceTip:
        """The server's present tip."""
        return await self._open().tip()

    async def headers(self, start: int, count: int) -> tuple[bytes, ...]:
        """Raw 80-byte headers from height `start`; fewer than `count` where the server's chain ends."""
        line = self._open()
        return await line.headers(start, count) if count > 0 else ()

    async def watch(
        self, scripthashes: Sequence[ScriptHash]
    ) -> Mapping[ScriptHash, str | SourceError | None]:
        """The present status of each script, from its whole history; those read longest ago come first.

        Nothing is told unasked: what changes is found when this is asked again. `Unavailable` for those for
        which the budget has no room at this moment.
        """
        line = self._open()
        for script in scripthashes:
            self._watched.setdefault(script, 0)
        longest_ago_first = sorted(scripthashes, key=lambda one: self._watched.get(one, 0))
        readings = await self._read(line, longest_ago_first, Wait.BRIEFLY)
        return {one: _part(readings[one], lambda reading: reading.status) for one in scripthashes}

    async def forget(self, scripthashes: Sequence[ScriptHash]) -> None:
        """No longer keep anything of these."""
        line = self._open()
        for script in scripthashes:
            self._watched.pop(script, None)
            line.histories.forget(script)

    async def histories(self, scripthashes: Sequence[ScriptHash]) -> Histories:
        """The complete history of each script, confirmed and unconfirmed."""
        line = self._open()
        before = await line.tip()
        readings = await self._read(line, scripthashes, Wait.AT_LEISURE)
        tops = {s: _top(one.claims) for s, one in readings.items() if not isinstance(one, SourceError)}
        highest = before.block.height
        if max(tops.values(), default=0) > highest:
            highest = max(highest, (await line.tip()).block.height)
        histories: dict[ScriptHash, tuple[Claim, ...] | SourceError] = {}
        statuses: dict[ScriptHash, str | None] = {}
        for script, reading in readings.items():
            if isinstance(reading, SourceError):
                histories[script] = reading
            elif tops[script] > highest:
                histories[script] = Unavailable("a history that goes beyond the tip")
            else:
                histories[script], statuses[script] = reading.claims, reading.status
        return Histories(before, histories, statuses)

    async def transactions(self, txids: Sequence[Txid]) -> Mapping[Txid, bytes | SourceError]:
        """Raw transactions, not yet hashed by anyone."""
        line = self._open()
        found: dict[Txid, bytes | SourceError] = {}
        for at in range(0, len(txids), _TRANSACTIONS):
            found |= await each(txids[at : at + _TRANSACTIONS], line.transaction)
            if sum(len(raw) for raw in found.values() if isinstance(raw, bytes)) >= TOGETHER:
                break
        return found

    async def branches(self, where: Sequence[tuple[Txid, int]]) -> Mapping[Txid, Branch | SourceError]:
        """Merkle branches of transactions in the blocks at these heights of the server's chain."""
        line = self._open()
        found = await each(where, lambda one: line.branch(*one))
        return {txid: branch for (txid, _height), branch in found.items()}

    def health(self) -> SourceHealth:
        """How the source is doing now; its subscriptions are the scripts that are read in each sweep."""
        return self._record.read(self.name, 0 if self._line is None else len(self._watched))

    async def _connection(self, line: Explorer, doorbell: Doorbell, every: float) -> SourceError:
        """From the first answer to the first failure, which is returned."""
        try:
            shown = await line.greet()
            self._line = line
            self._record.connected_since = self._clock()
            doorbell.connected(self.name)
            while True:
                await asyncio.sleep(every)
                tip = await line.tip()
                if tip.block != shown.block:
                    shown = tip
                    doorbell.tip_rang(self.name)
        except SourceError as error:
            return error
        finally:
            self._line = None

    async def _read(
        self, line: Explorer, scripthashes: Sequence[ScriptHash], wait: Wait
    ) -> dict[ScriptHash, Reading | SourceError]:
        # a few at a time: with half of a budget half of them are read, and not half of each
        turns = asyncio.Semaphore(self._asking.at_once)

        async def read(script: ScriptHash) -> Reading:
            async with turns:
                reading = await line.histories.read(script, keep=script in self._watched, wait=wait)
            if script in self._watched:
                self._reads += 1
                self._watched[script] = self._reads
            return reading

        return await each(scripthashes, read)

    def _open(self) -> Explorer:
        if self._line is None:
            raise Unavailable("not connected")
        return self._line


def _top(claims: Iterable[Claim]) -> int:
    return max((claim.height for claim in claims if claim.height is not None), default=0)


def _part(answer: T | SourceError, part: Callable[[T], str | None]) -> str | SourceError | None:
    return answer if isinstance(answer, SourceError) else part(answer)
