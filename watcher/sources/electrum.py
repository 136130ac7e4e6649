"""An Electrum server as a source: one connection, kept up, that answers questions and rings the bell."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, TypeVar

import msgspec

from watcher import __version__
from watcher.bitcoin.headers import header_hash
from watcher.bitcoin.networks import PARAMS
from watcher.sources import costs, wire
from watcher.sources.aside import aside
from watcher.sources.backoff import Reconnection
from watcher.sources.base import Histories, NotThere, SourceError, TooBusy, Unavailable, WrongNetwork
from watcher.sources.budget import Allowance
from watcher.sources.dial import Authorities, dial, parse_url
from watcher.sources.health import HealthRecord
from watcher.sources.names import Names
from watcher.sources.purse import Purse
from watcher.sources.session import LARGE, Limits, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.sources.backoff import Backoff
    from watcher.sources.base import Branch, Claim, Doorbell, SourceTip
    from watcher.sources.dial import Tls
    from watcher.sources.health import SourceHealth
    from watcher.sources.jsonrpc import Question
    from watcher.sources.proxy import Socks
    from watcher.sources.session import Reply

    _History: TypeAlias = tuple[tuple[Claim, ...], str | None]  # and the status it has

K = TypeVar("K")
V = TypeVar("V")

CLIENT_NAME: Final = f"treasury-watcher/{__version__}"

# Fulcrum takes 345 questions in a batch, companion included; beyond 100 nothing is gained (measured).
_SCRIPTS: Final = 250
# ElectrumX limits a batch's whole answer to 1 MB: 50 histories of 200 entries, 50 transactions of 10 kB.
_LARGE_ANSWERS: Final = 50
_QUESTIONS: Final = 20 * _SCRIPTS
_BATCHES_AT_ONCE: Final = 4  # hides the round trip; more would only queue in the server
_HEADERS: Final = 2016  # servers' own maximum
_SHARE_FOR_SWEEPS: Final = 0.75  # of a budget; the rest is for the tip, pings and readings
_SMALL_HEADERS: Final = 14  # fewer are an answer that ElectrumX holds back


class ElectrumSource:
    """An Electrum server at `tcp://` or `ssl://`, speaking 1.4 to 1.6.

    `clock` gives Unix seconds, `draw` a number in [0, 1). `charges` says that the server may have ElectrumX's
    default cost limits, as one that is not one's own has; `budget` has (requests, seconds) that hold at once.
    While disconnected every question raises `Unavailable` at once. `histories` frames the reading by the tip
    the server told last before it and the tip it tells afterwards: a batch does not frame, since servers
    answer its parts side by side.
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
        self._reading = 0  # histories asked for at this moment
        self._suspects: set[ScriptHash] = set()
        self._oversized: set[ScriptHash] = set()

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
            (reply,) = await self._ask(session, [question], batch=asked < _SMALL_HEADERS)
            if isinstance(reply, NotThere):
                break
            part, more = wire.read_headers(_raw(reply), asked)
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
        statuses: dict[ScriptHash, str | SourceError | None] = {}
        for at in range(0, len(now), _QUESTIONS):  # a hundred thousand questions at once are a lot of memory
            questions = {one: wire.ask_watch(one) for one in now[at : at + _QUESTIONS]}
            statuses |= await self._answers(session, questions, _read_status, at_once=_SCRIPTS)
        _raise_if_none_came(statuses)
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
        told = await self._histories(session, scripthashes)
        _raise_if_none_came(told)
        after = await self._tip(session)
        highest = max(before.block.height, after.block.height)
        histories: dict[ScriptHash, tuple[Claim, ...] | SourceError] = {}
        statuses: dict[ScriptHash, str | None] = {}
        for script, answer in told.items():
            if isinstance(answer, SourceError):
                histories[script] = answer
            elif _reaches_beyond(highest, answer[0]):
                histories[script] = Unavailable("a history that goes beyond the tip")
            else:
                histories[script], statuses[script] = answer
        return Histories(before, after, histories, statuses)

    async def transactions(self, txids: Sequence[Txid]) -> Mapping[Txid, bytes | SourceError]:
        """Raw transactions, not yet hashed by anyone."""
        questions = {txid: wire.ask_transaction(txid) for txid in txids}
        raws = await self._answers(self._open(), questions, _read_transaction, at_once=_LARGE_ANSWERS)
        _raise_if_none_came(raws)
        return raws

    async def branches(self, where: Sequence[tuple[Txid, int]]) -> Mapping[Txid, Branch | SourceError]:
        """Merkle branches of transactions in the blocks at these heights of the server's chain."""
        questions = {one: wire.ask_branch(*one) for one in where}
        branches = await self._answers(self._open(), questions, _read_branch, at_once=_LARGE_ANSWERS)
        _raise_if_none_came(branches)
        return {txid: branch for (txid, _height), branch in branches.items()}

    def health(self) -> SourceHealth:
        """How the source is doing now."""
        return self._record.read(self.name, 0 if self._session is None else len(self._session.watched))

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
        (version,) = await self._ask(session, [wire.ask_version(CLIENT_NAME)], batch=False)
        self._record.software, self._record.protocol = wire.read_version(_raw(version))
        session.batches = self._probe.with_batches()
        genesis, tip = await self._ask(session, [wire.ask_headers(0, 1), wire.TIP])
        self._probe.tried(answered=not session.ended.done())
        headers, _more = wire.read_headers(_raw(genesis), 1)
        if not headers or header_hash(headers[0]) != PARAMS[self._network].genesis:
            raise WrongNetwork(f"its first block is not that of {self._network}")
        self._record.tip = session.learn_tip(wire.read_tip(_raw(tip))).block

    async def _tip(self, session: Session) -> SourceTip:
        (reply,) = await self._ask(session, [wire.TIP])
        tip = session.learn_tip(wire.read_tip(_raw(reply)))
        self._record.tip = tip.block
        return tip

    def _open(self) -> Session:
        if self._session is None:
            raise Unavailable("not connected")
        return self._session

    async def _histories(
        self, session: Session, scripthashes: Sequence[ScriptHash]
    ) -> dict[ScriptHash, _History | SourceError]:
        """As asked; one by one where an earlier reading ended in a line beyond the bound.

        Such a line does not say whose history it is. Only a script that was asked for alone, and broke
        the connection again, is known to be unsupported here.
        """
        told: dict[ScriptHash, _History | SourceError] = {
            one: TooBusy("a history longer than a line may be")
            for one in scripthashes
            if one in self._oversized
        }
        suspects = [one for one in scripthashes if one in self._suspects]
        together = [one for one in scripthashes if one not in told and one not in self._suspects]
        for scripts in (together, *([one] for one in suspects)):
            was_over = session.overflowed  # by then nobody asks any more
            self._reading += len(scripts)
            questions = {one: wire.ask_history(one) for one in scripts}
            answers = await self._answers(session, questions, _read_history, at_once=_LARGE_ANSWERS)
            alone = self._reading == 1
            self._reading -= len(scripts)
            unanswered = {one for one, answer in answers.items() if isinstance(answer, Unavailable)}
            self._suspects -= answers.keys() - unanswered
            if session.overflowed and not was_over:
                if alone:
                    self._oversized |= unanswered
                    self._suspects -= unanswered
                else:
                    self._suspects |= unanswered
            told |= answers
        return told

    async def _ask(
        self, session: Session, questions: Sequence[Question], *, batch: bool = True
    ) -> list[Reply]:
        replies = await session.ask(questions, batch=batch)
        if any(isinstance(reply, msgspec.Raw) for reply in replies):
            self._record.last_success = self._clock()
        return replies

    async def _answers(
        self,
        session: Session,
        questions: Mapping[K, Question],
        read: Callable[[K, msgspec.Raw], V],
        *,
        at_once: int,
    ) -> dict[K, V | SourceError]:
        """Each key's answer or error."""
        turns = asyncio.Semaphore(_BATCHES_AT_ONCE)

        async def ask(keys: Sequence[K]) -> list[V | SourceError]:
            async with turns:
                replies = await self._ask(session, [questions[key] for key in keys])
                for at, reply in enumerate(replies):
                    if isinstance(reply, TooBusy) and session.batches:  # for the batch, perhaps not alone
                        (replies[at],) = await self._ask(session, [questions[keys[at]]], batch=False)
            return await _read_all(keys, replies, read)

        keys = list(questions)
        parts = [keys[at : at + at_once] for at in range(0, len(keys), at_once)]
        answered = await asyncio.gather(*(ask(part) for part in parts))
        return dict(zip(keys, chain.from_iterable(answered), strict=True))


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


def _raw(reply: Reply) -> msgspec.Raw:
    if isinstance(reply, SourceError):
        raise reply
    return reply


def _raise_if_none_came(answers: Mapping[K, V | SourceError]) -> None:
    errors = [answer for answer in answers.values() if isinstance(answer, Unavailable)]
    if errors and len(errors) == len(answers):
        raise errors[0]


def _reaches_beyond(highest: int, claims: Sequence[Claim]) -> bool:
    """Refused without blame: a server may have indexed a block that it has not yet announced."""
    return any(claim.height is not None and claim.height > highest for claim in claims)


async def _read_all(
    keys: Sequence[K], replies: Sequence[Reply], read: Callable[[K, msgspec.Raw], V]
) -> list[V | SourceError]:
    size = sum(len(reply) for reply in replies if isinstance(reply, msgspec.Raw))
    if size <= LARGE:
        return _read_each(keys, replies, read)
    return await aside(partial(_read_each, keys, replies, read))


def _read_each(
    keys: Sequence[K], replies: Sequence[Reply], read: Callable[[K, msgspec.Raw], V]
) -> list[V | SourceError]:
    answers: list[V | SourceError] = []
    for key, reply in zip(keys, replies, strict=True):
        try:
            answers.append(read(key, _raw(reply)))
        except SourceError as error:
            answers.append(error)
    return answers


def _read_status(_scripthash: ScriptHash, raw: msgspec.Raw) -> str | None:
    return wire.read_status(raw)


def _read_history(_scripthash: ScriptHash, raw: msgspec.Raw) -> _History:
    return wire.read_history(raw)


def _read_transaction(_txid: Txid, raw: msgspec.Raw) -> bytes:
    return wire.read_transaction(raw)


def _read_branch(where: tuple[Txid, int], raw: msgspec.Raw) -> Branch:
    return wire.read_branch(raw, where[1])
