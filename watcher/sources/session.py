"""One connection to an Electrum server: requests out, answers and notifications in, until it ends.

1. Every request is answered exactly once, by an answer or by an error that says why there is none:
   refused, not in time, or the connection ended.
2. An id is answered once. One we no longer wait for is ignored; one we never gave out, or that was
   answered before, ends the connection.
3. A session ends once, for one reason, and then for good: nobody waits on it any longer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

import msgspec

from watcher.sources import wire
from watcher.sources.aside import aside
from watcher.sources.base import Misbehaved, NotThere, SourceError, Unavailable
from watcher.sources.budget import Allowance
from watcher.sources.health import Outcome
from watcher.sources.jsonrpc import (
    LINE_TOO_LONG,
    MAX_LINE,
    Answer,
    Lines,
    Message,
    Notification,
    Question,
    Refusal,
    decode,
    encode,
    encode_batch,
)
from watcher.sources.quoted import quoted
from watcher.sources.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import SourceTip
    from watcher.sources.dial import Line
    from watcher.sources.health import HealthRecord
    from watcher.sources.purse import Purse

Reply: TypeAlias = msgspec.Raw | SourceError

# Decoding runs at about 1 MB/ms for the frame and 0.1 MB/ms for its objects: above this, in a thread.
LARGE: Final = 1 << 18

# ElectrumX holds answers of less than 1,024 bytes back for up to a second (padding against traffic
# analysis) unless a larger one goes with them: 14 headers are 2,240 hex digits. The shortest answer is
# `{"jsonrpc":"2.0","result":null,"id":1}`: from 30 of them on a batch is large enough by itself.
_COMPANION: Final = wire.ask_headers(0, 14)
_LARGE_BATCH: Final = 30
# The notifications that follow a header are held back too, and are not ready at the same instant.
_FLUSH_AFTER: Final = (0.0, 0.05, 0.25)

# 4 per script and tip is what a chain does; a busy script's mempool does more, never this many.
_MANY_NOTIFICATIONS: Final = 10_000
_MANY_ABANDONED: Final = 100_000  # ids we no longer wait for; a server that owes so many is not answering
_MANY_UNREAD: Final = (
    4_000_000  # bytes the server has not read; our largest batches are 30 kB, four at a time
)
_READ: Final = 1 << 16
_PINGS_SHARE: Final = 8
_LOOKS_UP: Final = 0.5  # seconds, while it waits for room, between two looks at whether it still has to


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect; for a whole answer; of silence until a ping, and until the line counts as dead.

    `silence` is below 30 s so that a half-open connection is noticed within that. `line` is in bytes.
    """

    connect: float = 10.0
    answer: float = 30.0
    ping: float = 12.0
    silence: float = 25.0
    line: int = MAX_LINE

    def within(self, budget: Sequence[tuple[int, float]]) -> Limits:
        """Fewer pings where each is counted: at most one request in eight is one."""
        ping = max(self.ping, _PINGS_SHARE * Allowance(budget, 0.0).spacing)
        return replace(self, ping=ping, silence=self.silence * ping / self.ping)


class _BatchRefused(Unavailable):
    """The server could not read a batch; the same questions may be asked one by one."""


class _Late(Unavailable):
    """No answer in time."""


class Session:
    """A connection in use; `tip` is the last the server told us, `batches` whether it takes them.

    What is asked is paid from `purse`, and waits for it.
    `tip_rang` and `script_rang` are called on the event loop for each notification that is due.
    """

    def __init__(
        self,
        line: Line,
        *,
        limits: Limits,
        record: HealthRecord,
        purse: Purse,
        tip_rang: Callable[[], None],
        script_rang: Callable[[ScriptHash], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.tip: SourceTip | None = None
        self.batches = True
        self.watched: set[ScriptHash] = set()
        self.ended: asyncio.Future[SourceError] = loop.create_future()
        self._line = line
        self._limits = limits
        self._lines = Lines(limits.line)
        self._record = record
        self.purse = purse
        self._tip_rang = tip_rang
        self._script_rang = script_rang
        self._time = loop.time
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._in_batch: set[int] = set()  # those of `_waiting` that were asked in a batch
        self._abandoned: set[int] = set()
        self._forgotten: set[ScriptHash] = set()
        self._notified = 0
        self._heard_at = self._line_began_at = self._answered_at = loop.time()
        self._flush = asyncio.Event()

    @property
    def overflowed(self) -> bool:
        """Whether it ended in a line that is too long."""
        return self.ended.done() and self.ended.result().reason == LINE_TOO_LONG

    async def ask(self, questions: Sequence[Question], *, batch: bool = True) -> list[Reply]:
        """One reply to each question, in order, within the time for an answer.

        `batch` asks in one message where the server takes that: then an answer counts towards the
        server's limit for the whole message, and small ones are not held back.
        """
        if not questions:
            return []
        if batch and self.batches:
            replies = await self._ask(questions, batch=True)
            if not any(isinstance(reply, _BatchRefused) for reply in replies):
                return replies
            self.batches = False
        return await self._ask(questions, batch=False)

    def watch(self, scripthashes: Sequence[ScriptHash]) -> None:
        """Expect notifications for these, from before they are asked for."""
        self.watched.update(scripthashes)
        self._forgotten.difference_update(scripthashes)
        self.purse.subscribed(len(self.watched))

    def forget(self, scripthashes: Sequence[ScriptHash]) -> None:
        """Expect none any more; those under way, or of a server that cannot forget, are ignored."""
        self._forgotten.update(self.watched.intersection(scripthashes))
        self.watched.difference_update(scripthashes)
        self.purse.subscribed(len(self.watched))

    def learn_tip(self, tip: SourceTip) -> SourceTip:
        """Remember what the server said is its tip, and return it."""
        if self.tip is None or self.tip.block != tip.block:
            self._notified = 0
        self.tip = tip
        return tip

    def end(self, why: SourceError) -> None:
        """End the connection: everybody who waits for an answer is told at once. The first reason counts."""
        if self.ended.done():
            return
        # the frames it was raised in hold the line they read, and it outlives them until the next collection
        why.__traceback__ = why.__context__ = None
        self.ended.set_result(why)
        self._flush.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(_disconnected(why))
        self._line.writer.transport.abort()

    async def listen(self) -> None:
        """Read until the connection ends."""
        try:
            while data := await self._line.reader.read(_READ):
                await self._hear(data)
            self.end(Unavailable("the server closed the connection"))
        except OSError as error:
            self.end(Unavailable(f"the connection broke: {quoted(error)}"))
        except SourceError as error:
            self.end(error)

    async def keep_alive(self) -> None:
        """Ping what is silent and end what is dead, until the connection ends."""
        pinged_at = self._time()
        ping: asyncio.Future[Reply] | None = None
        while not self.ended.done():
            await asyncio.wait([self.ended], timeout=self._limits.ping / 4)
            now = self._time()
            if (why := self._dead(now)) is not None:
                self.end(why)
            elif ping is not None and not ping.done():
                if now - pinged_at >= self._limits.answer:
                    self.end(Unavailable(f"a ping not answered within {self._limits.answer:g} s"))
            elif now - max(self._heard_at, pinged_at) >= self._limits.ping:
                pinged_at = now
                self.purse.ping(wire.PING)
                (ping,) = self._send([wire.PING], batch=False).values()

    async def push_notifications(self) -> None:
        """After each new header, ask for something large, so that what the server holds back comes too."""
        while not self.ended.done():
            await self._flush.wait()
            self._flush.clear()
            for seconds in _FLUSH_AFTER:
                await asyncio.wait([self.ended], timeout=seconds)
                if self.batches and not self.ended.done() and not self.purse.is_counted:
                    self.purse.ping(wire.PING)
                    self.purse.ping(_COMPANION)
                    await self._exchange([wire.PING], batch=True)

    async def close(self) -> None:
        """Wait until the socket of an ended session is closed."""
        with suppress(OSError):
            await self._line.writer.wait_closed()

    async def _ask(self, questions: Sequence[Question], *, batch: bool) -> list[Reply]:
        asked = [*questions, _COMPANION] if self._needs_companion(questions, batch=batch) else questions
        await self._wait(self.purse.pay(asked))
        began = self._time()
        replies = await self._exchange(questions, batch=batch)
        ended = self._time()
        for reply in replies:
            self._record.answered(_outcome(reply), ended - began)
        if any(isinstance(reply, _Late) for reply in replies) and self._answered_at < began:
            self.end(Unavailable(f"no question answered within {self._limits.answer:g} s"))
        return replies

    async def _wait(self, seconds: float) -> None:
        """For room within the limits; what is read at leisure waits no more once a script has rung."""
        was_at_leisure, until = self.purse.at_leisure, self._time() + seconds
        while (left := until - self._time()) > 0 and not self.ended.done():
            await asyncio.wait([self.ended], timeout=min(left, _LOOKS_UP))
            if was_at_leisure and not self.purse.at_leisure:
                return

    async def _exchange(self, questions: Sequence[Question], *, batch: bool) -> list[Reply]:
        if self.ended.done():
            return [_disconnected(self.ended.result()) for _ in questions]
        sent = self._send(questions, batch=batch)
        futures = list(sent.values())[: len(questions)]
        try:
            await asyncio.wait(futures, timeout=self._limits.answer)
        finally:
            self._abandon(sent)
        late = f"no answer within {self._limits.answer:g} s"
        return [future.result() if future.done() else _Late(late) for future in futures]

    def _send(self, questions: Sequence[Question], *, batch: bool) -> dict[int, asyncio.Future[Reply]]:
        """Write the requests, and a companion where one is needed; what will hold the replies, by id."""
        create_future = asyncio.get_running_loop().create_future
        asked = [*questions, _COMPANION] if self._needs_companion(questions, batch=batch) else questions
        first = self._next_id
        self._next_id += len(asked)
        sent = {first + at: create_future() for at in range(len(asked))}
        self._waiting.update(sent)
        writer = self._line.writer
        if batch:
            self._in_batch.update(sent)
            writer.write(encode_batch(asked, first))
        else:
            writer.write(b"".join(encode(one, first + at) for at, one in enumerate(asked)))
        if writer.transport.get_write_buffer_size() > _MANY_UNREAD:
            self.end(Unavailable("the server does not read what we ask"))
        return sent

    def _needs_companion(self, questions: Sequence[Question], *, batch: bool) -> bool:
        return batch and len(questions) < _LARGE_BATCH and not self.purse.is_counted

    def _abandon(self, ids: Iterable[int]) -> None:
        for one in ids:
            if self._waiting.pop(one, None) is not None:
                self._abandoned.add(one)
                self._in_batch.discard(one)
        if len(self._abandoned) > _MANY_ABANDONED:
            self.end(Unavailable(f"{len(self._abandoned)} questions without an answer"))

    async def _hear(self, data: bytes) -> None:
        now = self._heard_at = self._time()
        self.purse.heard(len(data))
        mid_line = self._lines.unfinished
        lines = self._lines.feed(data)
        if lines or not mid_line:
            self._line_began_at = now
        for line in lines:
            large = len(line) > LARGE
            for message in await aside(partial(decode, line)) if large else decode(line):
                self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Answer(request_id, result):
                self._settle(request_id, result)
            case Refusal(request_id):
                self.purse.refused()
                if request_id is None:
                    self._refuse_batches(message)
                else:
                    self._settle(request_id, refused(message))
            case Notification(method, params):
                self._notice(method, params)
            case _:
                assert_never(message)

    def _settle(self, request_id: int, reply: Reply) -> None:
        self._answered_at = self._time()
        future = self._waiting.pop(request_id, None)
        self._in_batch.discard(request_id)
        if future is not None:
            if not future.done():
                future.set_result(reply)
        elif request_id in self._abandoned:
            self._abandoned.discard(request_id)
        elif 0 <= request_id < self._next_id:
            raise Misbehaved("double_answer", f"a second answer to request {request_id}")
        else:
            raise Misbehaved("unknown_id", "an answer to a request we never made")

    def _refuse_batches(self, refusal: Refusal) -> None:
        """An error without an id is the answer to what the server could not read: our batches, if any."""
        if not self._in_batch:
            raise refused(refusal)
        for request_id in list(self._in_batch):
            self._settle(request_id, _BatchRefused(f"error {refusal.code}: {refusal.text}"))

    def _notice(self, method: str, params: msgspec.Raw) -> None:
        if method == wire.TIP_METHOD:
            self.learn_tip(wire.read_told_tip(params))
            self._flush.set()
            self._tip_rang()
        elif method == wire.SCRIPT_METHOD:
            self._notice_script(wire.read_told_script(params))
        else:
            raise Misbehaved("unsolicited", f"a notification nobody asked for: {quoted(method, limit=40)}")

    def _notice_script(self, scripthash: ScriptHash) -> None:
        if scripthash not in self.watched:
            if scripthash in self._forgotten:
                return
            raise Misbehaved("unsolicited", "a notification for a script nobody watches")
        self._notified += 1
        self.purse.notified()
        if self._notified > max(_MANY_NOTIFICATIONS, 4 * len(self.watched)):
            raise Misbehaved("flood", f"{self._notified} notifications since the last header")
        self._script_rang(scripthash)

    def _dead(self, now: float) -> SourceError | None:
        limits = self._limits
        if now - self._heard_at >= limits.silence:
            return Unavailable(f"silent for {limits.silence:g} s")
        if self._lines.unfinished and now - self._line_began_at >= limits.answer:
            return Unavailable(f"one message took longer than {limits.answer:g} s")
        return None


def _disconnected(why: SourceError) -> Unavailable:
    return Unavailable(f"disconnected: {why}")


def _outcome(reply: Reply) -> Outcome:
    match reply:
        case _Late():
            return Outcome.TIMEOUT
        case NotThere() | msgspec.Raw():
            return Outcome.OK
        case SourceError():
            return Outcome.ERROR
        case _:
            assert_never(reply)
