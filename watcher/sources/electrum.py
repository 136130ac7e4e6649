"""An Electrum server as a source: one connection, kept up, that answers questions and rings the bell."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from watcher import __version__
from watcher.bitcoin.headers import header_hash
from watcher.bitcoin.networks import PARAMS
from watcher.sources import costs, wire
from watcher.sources.asking import Asker, raise_if_none_came, raw_of
from watcher.sources.backoff import Reconnection
from watcher.sources.base import (
    TOGETHER,
    Histories,
    NotThere,
    SourceError,
    TooBusy,
    Unavailable,
    WrongNetwork,
)
from watcher.sources.budget import Allowance
from watcher.sources.dial import Authorities, dial, parse_url
from watcher.sources.health import HealthRecord
from watcher.sources.limits import Limits
from watcher.sources.names import Names
from watcher.sources.oversized import LARGE_ANSWERS, HistoryReader
from watcher.sources.purse import Purse
from watcher.sources.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import msgspec

    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.sources.backoff import Backoff
    from watcher.sources.base import Branch, Claim, Doorbell, SourceTip
    from watcher.sources.dial import Tls
    from watcher.sources.health import SourceHealth
    from watcher.sources.proxy import Socks


CLIENT_NAME: Final = f"treasury-watcher/{__version__}"

# Fulcrum takes 345 questions in batches at one time; in one batch nothing is gained beyond 100 (measured).
_SCRIPTS: Final = 250
_HEADERS: Final = 2016  # servers' own maximum
_SHARE_FOR_SWEEPS: Final = 0.75  # of a budget; the rest is for the tip, pings and readings
_SMALL_HEADERS: Final = 14  # fewer are an answer that ElectrumX holds back


class ElectrumSource:
    """An Electrum server at `tcp://` or `ssl://`, speaking 1.4 to 1.6.

    `clock` gives Unix seconds, `draw` a number in [0, 1). `charges` says that the server may have ElectrumX's
    default cost limits, as one that is not one's own has; `budget` has (requests, seconds) that hold at once.
    While disconnected every question raises `Unavailable` at once. `histories` come with the tip that the
    server told last before them; the one behind them is asked for when they are there: a batch does not
    frame, since servers answer its parts side by side.
    """

    announces = True

    def __init__(  # noqa: PLR0913 - what a server is reached with
        self,
        name: str,
        url: str,
        network: Network,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float],
        tls: Tls | None = None,
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        charges: bool = False,
        budget: tuple[tuple[int, float], ...] = (),
        proxy: Socks | None = None,
        names: Names | None = None,
    ) -> None:
        self.name = name
        self._address = parse_url(url)
        self._network = network
        self._clock = clock
        self._tls = tls or Authorities()
        self._limits = limits or Limits().within(budget)
        self._charges = charges
        self._budget = budget
        self._purse: Purse | None = None
        self._proxy = proxy
        self._names = names or Names()
        self._session: Session | None = None
        self._probe = _Probe()
        self._record = HealthRecord()
        self._reconnection = Reconnection(name, self._record, backoff, draw)
        self._asker = Asker(self._record, clock)
        self._histories = HistoryReader(self._asker)

    @property
    def host(self) -> str:
        """The server's host name or address, as configured."""
        return self._address.host

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._address.port

    @property
    def reached_at(self) -> str | None:
        """The network address at which the server was reached last; None before that or through a proxy."""
        return self._names.address

    def sweep_seconds(self, scripts: int) -> float:
        """How long asking for so many scripts again has to take."""
        charged = costs.sweep_seconds(scripts) if self._charges else 0.0
        return max(charged, scripts * Allowance(self._budget, 0.0).spacing / _SHARE_FOR_SWEEPS)

    async def run(self, doorbell: Doorbell) -> NoReturn:
        """Connect, and again after each end, until cancelled; each failed attempt rings `disconnected`."""
        await self._reconnection.run(doorbell, lambda: self._connection(doorbell))

    def hurry(self) -> None:
        """Try again now instead of when it would be due: an operator has changed something."""
        self._reconnection.hurry()

    @contextmanager
    def at_leisure(self) -> Iterator[None]:
        """What is asked within may wait until little is owed to the server."""
        purse = self._open().purse
        purse.at_leisure = True
        try:
            yield
        finally:
            purse.at_leisure = False

    @property
    def told_tip(self) -> SourceTip | None:
        """The tip that the server told last on this connection; None without one."""
        return None if self._session is None else self._session.tip

    async def tip(self) -> SourceTip:
        """The server's present tip."""
        return await self._tip(self._open())

    async def headers(self, start: int, count: int) -> tuple[bytes, ...]:
        """Raw 80-byte headers from height `start`; fewer than `count` where the server's chain ends."""
        session = self._open()
        headers: list[bytes] = []
        while (missing := count - len(headers)) > 0:
            asked = min(missing, _HEADERS)
            question = wire.ask_headers(start + len(headers), asked)
            (reply,) = await self._asker.ask(session, [question], batch=asked < _SMALL_HEADERS)
            if isinstance(reply, NotThere):
                break
            part, more = wire.read_headers(raw_of(reply), asked)
            headers += part
            if len(part) < asked and not more:
                break
        return tuple(headers)

    async def watch(
        self, scripthashes: Sequence[ScriptHash]
    ) -> Mapping[ScriptHash, str | SourceError | None]:
        """Ask to be told of changes, and the present status of each script (None: no history).

        `Unavailable` for those, the last ones, for which the server's limits have no room at this moment.
        """
        session = self._open()
        now = scripthashes[: session.purse.scripts(len(scripthashes))]
        session.watch(now)
        statuses = await self._asker.answers(session, now, wire.ask_watch, _read_status, at_once=_SCRIPTS)
        raise_if_none_came(statuses)
        session.forget([one for one, status in statuses.items() if isinstance(status, TooBusy)])
        if later := scripthashes[len(now) :]:
            wait = session.purse.seconds_until_scripts(len(later))
            statuses |= dict.fromkeys(later, Unavailable("not within its limits now", retry_after=wait))
        return statuses

    async def forget(self, scripthashes: Sequence[ScriptHash]) -> None:
        """No longer watch these; a server that cannot forget goes on telling, and is not listened to."""
        session = self._open()
        session.forget(scripthashes)
        await session.ask([wire.ask_unwatch(one) for one in scripthashes])

    async def histories(self, scripthashes: Sequence[ScriptHash]) -> Histories:
        """The complete history of each script, confirmed and unconfirmed."""
        session = self._open()
        before = session.tip or await self._tip(session)
        told = await self._histories.read(session, scripthashes)
        raise_if_none_came(told)
        tops = {s: _top(answer[0]) for s, answer in told.items() if not isinstance(answer, SourceError)}
        highest = before.block.height
        if max(tops.values(), default=0) > highest:
            highest = max(highest, (await self._tip(session)).block.height)
        histories: dict[ScriptHash, Sequence[Claim] | SourceError] = {}
        statuses: dict[ScriptHash, str | None] = {}
        for script, answer in told.items():
            if isinstance(answer, SourceError):
                histories[script] = answer
            elif tops[script] > highest:  # without blame: it may have indexed a block not yet announced
                histories[script] = Unavailable("a history that goes beyond the tip")
            else:
                histories[script], statuses[script] = answer
        return Histories(before, histories, statuses)

    async def transactions(self, txids: Sequence[Txid]) -> Mapping[Txid, bytes | SourceError]:
        """Raw transactions, not yet hashed by anyone."""
        raws = await self._asker.answers(
            self._open(),
            txids,
            wire.ask_transaction,
            _read_transaction,
            at_once=LARGE_ANSWERS,
            together=2 * TOGETHER,  # in hexadecimal
        )
        raise_if_none_came(raws)
        return raws

    async def branches(self, where: Sequence[tuple[Txid, int]]) -> Mapping[Txid, Branch | SourceError]:
        """Merkle branches of transactions in the blocks at these heights of the server's chain."""
        branches = await self._asker.answers(
            self._open(), where, lambda one: wire.ask_branch(*one), _read_branch, at_once=LARGE_ANSWERS
        )
        raise_if_none_came(branches)
        return {txid: branch for (txid, _height), branch in branches.items()}

    def health(self) -> SourceHealth:
        """How the source is doing now."""
        return self._record.read(self.name, 0 if self._session is None else len(self._session.subscriptions))

    async def _connection(self, doorbell: Doorbell) -> SourceError:
        """One connection from its beginning to its end, which is returned."""
        if self._purse is None:
            self._purse = Purse(self._budget, charges=self._charges, clock=asyncio.get_running_loop().time)
        try:
            line = await dial(
                self._address,
                self._tls,
                seconds=self._limits.connect,
                names=self._names,
                proxy=self._proxy,
            )
        except SourceError as error:
            return error
        self._record.certificate_until(line.not_after, self.name, self._clock())
        session = Session(
            line,
            limits=self._limits,
            record=self._record,
            purse=self._purse,
            tip_rang=lambda: doorbell.tip_rang(self.name),
            script_rang=lambda scripthash: doorbell.script_rang(self.name, scripthash),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.listen())
                tasks.create_task(session.keep_alive())
                tasks.create_task(session.push_notifications())
                tasks.create_task(self._open_up(session, doorbell))
        finally:
            session.end(Unavailable("stopped"))
            self._session = None
            await session.close()
        return session.ended.result()

    async def _open_up(self, session: Session, doorbell: Doorbell) -> None:
        try:
            await self._greet(session)
        except SourceError as error:
            session.end(error)
        if not session.ended.done():
            self._session = session
            self._record.connected_since = self._clock()
            doorbell.connected(self.name)

    async def _greet(self, session: Session) -> None:
        """Agree on a protocol, find out whether batches are taken, and check that it is our network."""
        (version,) = await self._asker.ask(session, [wire.ask_version(CLIENT_NAME)], batch=False)
        self._record.software, self._record.protocol = wire.read_version(raw_of(version))
        if not self._probe.with_batches():
            session.batches.most = 0
        genesis, tip = await self._asker.ask(session, [wire.ask_headers(0, 1), wire.TIP])
        self._probe.tried(answered=not session.ended.done())
        headers, _more = wire.read_headers(raw_of(genesis), 1)
        if not headers or header_hash(headers[0]) != PARAMS[self._network].genesis:
            raise WrongNetwork(f"its first block is not that of {self._network}")
        self._record.tip = session.learn_tip(wire.read_tip(raw_of(tip))).block

    async def _tip(self, session: Session) -> SourceTip:
        (reply,) = await self._asker.ask(session, [wire.TIP])
        tip = session.learn_tip(wire.read_tip(raw_of(reply)))
        self._record.tip = tip.block
        return tip

    def _open(self) -> Session:
        if self._session is None:
            raise Unavailable("not connected")
        return self._session


class _Probe:
    """Whether to greet with a batch: some servers hang up at one, and so does a bad network."""

    def __init__(self) -> None:
        self._failed = 0

    def with_batches(self) -> bool:
        """False after two greetings in a row that a batch did not survive."""
        return self._failed < 2

    def tried(self, *, answered: bool) -> None:
        """How the greeting went; one that fails without batches too was the network's fault."""
        if not self.with_batches():
            self._failed = 2 if answered else 0
        else:
            self._failed = 0 if answered else self._failed + 1


def _top(claims: Sequence[Claim]) -> int:
    """The height of the highest, which comes last of those in a block."""
    return next((claim.height for claim in reversed(claims) if claim.height is not None), 0)


def _read_status(_scripthash: ScriptHash, raw: msgspec.Raw) -> str | None:
    return wire.read_status(raw)


def _read_transaction(_txid: Txid, raw: msgspec.Raw) -> bytes:
    return wire.read_transaction(raw)


def _read_branch(where: tuple[Txid, int], raw: msgspec.Raw) -> Branch:
    return wire.read_branch(raw, where[1])
