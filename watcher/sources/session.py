"""One connection to an Electrum server: requests out, answers and notifications in, until it ends.

It ends once, for one reason, and then for good: nobody waits on it any longer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, assert_never

from watcher.sources import wire
from watcher.sources.aside import aside
from watcher.sources.base import Misbehaved, SourceError, Unavailable
from watcher.sources.batches import LARGE_BATCH, Batches
from watcher.sources.jsonrpc import (
    LINE_TOO_LONG,
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
from watcher.sources.replies import BatchRefused, Late, Replies, disconnected, outcome_of
from watcher.sources.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from watcher.bitcoin.types import ScriptHash
    from watcher.sources.base import SourceTip
    from watcher.sources.dial import Line
    from watcher.sources.health import HealthRecord
    from watcher.sources.limits import Limits
    from watcher.sources.purse import Purse
    from watcher.sources.replies import Expected, Reply

# Decoding runs at about 1 MB/ms for the frame and 0.1 MB/ms for its objects: above this, in a thread.
LARGE: Final = 1 << 18

# ElectrumX holds answers of less than 1,024 bytes back for up to a second (padding against traffic
# analysis) unless a larger one goes with them: 14 headers are 2,240 hex digits. The shortest answer is
# `{"jsonrpc":"2.0","result":null,"id":1}`: from 30 of them on a batch is large enough by itself.
_COMPANION: Final = wire.ask_headers(0, 14)
# The notifications that follow a header are held back too, and are not ready at the same instant.
_FLUSH_AFTER: Final = (0.0, 0.05, 0.25)

_MANY_UNREAD: Final = (
    4_000_000  # bytes the server has not read; our largest batches are 30 kB, four at a time
)
_READ: Final = 1 << 16
_LOOKS_UP: Final = 0.5  # seconds, while it waits for room, between two looks at whether it still has to


class Session:
    """A connection in use; `tip` is the last the server told us, `batches` which of them it takes.

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
        self.batches = Batches()
        self.subscriptions = Subscriptions()
        self.ended: asyncio.Future[SourceError] = loop.create_future()
        self._line = line
        self._limits = limits
        self._lines = Lines(limits.line)
        self._record = record
        self.purse = purse
        self._tip_rang = tip_rang
        self._script_rang = script_rang
        self._time = loop.time
        self._replies = Replies()
        self._heard_at = self._line_began_at = self._answered_at = loop.time()
        self._flush = asyncio.Event()

    @property
    def overflowed(self) -> bool:
        """Whether it ended in a line that is too long."""
        return self.ended.done() and self.ended.result().reason == LINE_TOO_LONG

    async def ask(self, questions: Sequence[Question], *, batch: bool = True) -> list[Reply]:
        """One reply to each question, in order, within the time for an answer.

        `batch` asks in as few messages as the server takes: then an answer counts towards the server's
        limit for the whole message, and small ones are not held back.
        """
        if not questions:
            return []
        while batch and (size := self.batches.largest):
            parts = [questions[at : at + size] for at in range(0, len(questions), size)]
            if len(parts) > 1:
                return [reply for part in parts for reply in await self.ask(part)]
            asked = self._companied(questions)
            await self._wait(self.purse.pay(asked))
            async with self.batches.room(len(asked)) as fits:
                replies = await self._timed(questions, batch=True) if fits else []
            if replies and not any(isinstance(reply, BatchRefused) for reply in replies):
                return replies
        await self._wait(self.purse.pay(questions))
        return await self._timed(questions, batch=False)

    def watch(self, scripthashes: Sequence[ScriptHash]) -> None:
        """Expect notifications for these, from before they are asked for."""
        self.subscriptions.watch(scripthashes)
        self.purse.subscribed(len(self.subscriptions))

    def forget(self, scripthashes: Sequence[ScriptHash]) -> None:
        """Expect none any more; those under way, or of a server that cannot forget, are ignored."""
        self.subscriptions.forget(scripthashes)
        self.purse.subscribed(len(self.subscriptions))

    def learn_tip(self, tip: SourceTip) -> SourceTip:
        """Remember what the server said is its tip, and return it."""
        if self.tip is None or self.tip.block != tip.block:
            self.subscriptions.new_tip()
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
        self._replies.end(disconnected(why))
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
        ping: asyncio.Future[None] | None = None
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
                ping = self._send([wire.PING], batch=False).come

    async def push_notifications(self) -> None:
        """After each new header, ask for something large, so that what the server holds back comes too."""
        while not self.ended.done():
            await self._flush.wait()
            self._flush.clear()
            for seconds in _FLUSH_AFTER:
                await asyncio.wait([self.ended], timeout=seconds)
                if self.ended.done() or self.purse.is_counted:
                    continue
                async with self.batches.room(len(self._companied([wire.PING]))) as fits:
                    if fits:
                        self.purse.ping(wire.PING)
                        self.purse.ping(_COMPANION)
                        await self._exchange([wire.PING], batch=True)

    async def close(self) -> None:
        """Wait until the socket of an ended session is closed."""
        with suppress(OSError):
            await self._line.writer.wait_closed()

    async def _timed(self, questions: Sequence[Question], *, batch: bool) -> list[Reply]:
        began = self._time()
        replies = await self._exchange(questions, batch=batch)
        ended = self._time()
        for outcome, count in Counter(map(outcome_of, replies)).items():
            self._record.answered(outcome, ended - began, count)
        if any(isinstance(reply, Late) for reply in replies) and self._answered_at < began:
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
            return [disconnected(self.ended.result()) for _ in questions]
        sent = self._send(questions, batch=batch)
        try:
            await asyncio.wait([sent.come], timeout=self._limits.answer)
        finally:
            try:
                self._replies.abandon(sent)
            except Unavailable as error:
                self.end(error)
        return sent.or_else(Late(f"no answer within {self._limits.answer:g} s"))

    def _send(self, questions: Sequence[Question], *, batch: bool) -> Expected:
        """Write the requests, and a companion where one is needed; what the replies come to."""
        asked = self._companied(questions) if batch else questions
        sent = self._replies.expect(len(asked), len(questions))
        writer = self._line.writer
        if batch:
            self.batches.sent(sent.ids)
            writer.write(encode_batch(asked, sent.ids.start))
        else:
            writer.write(b"".join(map(encode, asked, sent.ids)))
        if writer.transport.get_write_buffer_size() > _MANY_UNREAD:
            self.end(Unavailable("the server does not read what we ask"))
        return sent

    def _companied(self, questions: Sequence[Question]) -> Sequence[Question]:
        """The questions of a batch, with a companion where they need one."""
        if len(questions) >= LARGE_BATCH or self.purse.is_counted:
            return questions
        return [*questions, _COMPANION]

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
                    self._without_id(message)
                else:
                    self._settle(request_id, refused(message))
            case Notification(method, params):
                self._notice(method, params)
            case _:
                assert_never(message)

    def _settle(self, request_id: int, reply: Reply) -> None:
        self._answered_at = self._time()
        if batches := self.batches.answered(request_id):
            self._refuse(batches)
        self._replies.settle(request_id, reply)

    def _without_id(self, refusal: Refusal) -> None:
        """An error without an id is the answer to what the server did not take: a batch, if any."""
        self._answered_at = self._time()
        batches = self.batches.refused()
        if batches is None:
            raise refused(refusal)
        self._refuse(batches)

    def _refuse(self, batches: Sequence[range]) -> None:
        for request_id in chain.from_iterable(batches):
            self._replies.refuse(request_id, BatchRefused("a batch was refused"))

    def _notice(self, method: str, params: msgspec.Raw) -> None:
        if method == wire.TIP_METHOD:
            self.learn_tip(wire.read_told_tip(params))
            self._flush.set()
            self._tip_rang()
        elif method == wire.SCRIPT_METHOD:
            scripthash = wire.read_told_script(params)
            if self.subscriptions.is_due(scripthash):
                self.purse.notified()
                self._script_rang(scripthash)
        else:
            raise Misbehaved("unsolicited", f"a notification nobody asked for: {quoted(method, limit=40)}")

    def _dead(self, now: float) -> SourceError | None:
        limits = self._limits
        if now - self._heard_at >= limits.silence:
            return Unavailable(f"silent for {limits.silence:g} s")
        if self._lines.unfinished and now - self._line_began_at >= limits.answer:
            return Unavailable(f"one message took longer than {limits.answer:g} s")
        return None
