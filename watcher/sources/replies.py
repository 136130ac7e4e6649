"""The requests of one connection, by their ids.

1. Every request is answered exactly once, by an answer or by an error that says why there is none:
   refused, not in time, or the connection ended.
2. An id is answered once. One we no longer wait for is ignored; one we never gave out, or that was
   answered before, ends the connection.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias, assert_never

import msgspec

from watcher.sources.base import Misbehaved, NotThere, SourceError, Unavailable
from watcher.sources.health import Outcome

Reply: TypeAlias = msgspec.Raw | SourceError

_MANY_ABANDONED: Final = 100_000  # ids we no longer wait for; a server that owes so many is not answering


class BatchRefused(Unavailable):
    """The server did not take a batch; the same questions may be asked in smaller ones, or one by one."""


class Late(Unavailable):
    """No answer in time."""


class Expected:
    """The replies to requests that were sent together, of which the first `wanted` are waited for."""

    __slots__ = ("_first", "_missing", "come", "ids", "replies", "wanted")

    def __init__(self, ids: range, wanted: int) -> None:
        self.ids = ids
        self.wanted = wanted
        self.replies: list[Reply | None] = [None] * len(ids)
        self.come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first = ids.start
        self._missing = wanted

    def take(self, request_id: int, reply: Reply) -> None:
        """One has come."""
        at = request_id - self._first
        self.replies[at] = reply
        if at < self.wanted:
            self._missing -= 1
            if not self._missing and not self.come.done():
                self.come.set_result(None)

    def or_else(self, late: Reply) -> list[Reply]:
        """The wanted ones, with `late` for each that has not come."""
        return [late if reply is None else reply for reply in self.replies[: self.wanted]]


class Replies:
    """Whose each reply is, while somebody waits for it."""

    def __init__(self) -> None:
        self._next_id = 0
        self._waiting: dict[int, Expected] = {}
        self._abandoned: set[int] = set()

    def expect(self, count: int, wanted: int) -> Expected:
        """So many, by ids that follow one another."""
        ids = range(self._next_id, self._next_id + count)
        self._next_id = ids.stop
        expected = Expected(ids, wanted)
        self._waiting.update(dict.fromkeys(ids, expected))
        return expected

    def settle(self, request_id: int, reply: Reply) -> None:
        """It has come; `Misbehaved` where none is owed."""
        expected = self._waiting.pop(request_id, None)
        if expected is not None:
            expected.take(request_id, reply)
        elif request_id in self._abandoned:
            self._abandoned.discard(request_id)
        elif 0 <= request_id < self._next_id:
            raise Misbehaved("double_answer", f"a second answer to request {request_id}")
        else:
            raise Misbehaved("unknown_id", "an answer to a request we never made")

    def refuse(self, request_id: int, reply: Reply) -> None:
        """It was refused, as far as we know: an answer that comes nevertheless is ignored."""
        expected = self._waiting.pop(request_id, None)
        if expected is not None:
            self._abandoned.add(request_id)
            expected.take(request_id, reply)

    def abandon(self, expected: Expected) -> None:
        """Nobody waits for what has not come; `Unavailable` where too many are owed."""
        for one in expected.ids:
            if self._waiting.pop(one, None) is not None:
                self._abandoned.add(one)
        if len(self._abandoned) > _MANY_ABANDONED:
            raise Unavailable(f"{len(self._abandoned)} questions without an answer")

    def end(self, why: SourceError) -> None:
        """The connection has ended: all who wait are told."""
        for request_id in list(self._waiting):
            self.settle(request_id, why)


def disconnected(why: SourceError) -> Unavailable:
    """What becomes of a question when the connection has ended."""
    return Unavailable(f"disconnected: {why}")


def outcome_of(reply: Reply) -> Outcome:
    """How the question ended."""
    match reply:
        case Late():
            return Outcome.TIMEOUT
        case NotThere() | msgspec.Raw():
            return Outcome.OK
        case SourceError():
            return Outcome.ERROR
        case _:
            assert_never(reply)
