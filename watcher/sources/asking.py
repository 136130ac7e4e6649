"""Many questions of one kind, asked of an Electrum server in batches, and each answer read by its kind."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from watcher.sources.aside import aside
from watcher.sources.base import SourceError, TooBusy, Unavailable
from watcher.sources.session import LARGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from watcher.sources.health import HealthRecord
    from watcher.sources.jsonrpc import Question
    from watcher.sources.replies import Reply
    from watcher.sources.session import Session

K = TypeVar("K")
V = TypeVar("V")

_BATCHES_AT_ONCE: Final = 4  # hides the round trip; more would only queue in the server


class Asker:
    """Notes in the record when an answer has come; `clock` gives Unix seconds."""

    def __init__(self, record: HealthRecord, clock: Callable[[], float]) -> None:
        self._record = record
        self._clock = clock

    async def ask(
        self, session: Session, questions: Sequence[Question], *, batch: bool = True
    ) -> list[Reply]:
        """One reply to each question, in order."""
        replies = await session.ask(questions, batch=batch)
        if any(isinstance(reply, msgspec.Raw) for reply in replies):
            self._record.last_success = self._clock()
        return replies

    async def answers(
        self,
        session: Session,
        keys: Iterable[K],
        question: Callable[[K], Question],
        read: Callable[[K, msgspec.Raw], V],
        *,
        at_once: int,
        together: float = math.inf,
    ) -> dict[K, V | SourceError]:
        """Each key's answer or error, in the keys' order; so many at most are asked for in one batch.

        When there are `together` bytes of answers no more is asked for; the keys that are left are missing.
        """
        not_asked = Unavailable("not asked")
        answers: dict[K, V | SourceError] = dict.fromkeys(keys, not_asked)
        wanted = list(answers)
        parts = [wanted[at : at + at_once] for at in range(0, len(wanted), at_once)]
        left = iter(parts)
        had = 0

        async def ask() -> None:
            nonlocal had
            for part in left:  # whoever is free takes the next: questions are made when it is their turn
                if had >= together:
                    return
                replies = await self.ask(session, [question(key) for key in part])
                had += _size(replies)
                for at, reply in enumerate(replies):
                    # too large for the batch is perhaps not too large alone
                    if isinstance(reply, TooBusy) and session.batches.most:
                        if had >= together:
                            replies[at] = not_asked
                            continue
                        (replies[at],) = await self.ask(session, [question(part[at])], batch=False)
                        had += _size(replies[at : at + 1])
                answers.update(zip(part, await _read_all(part, replies, read), strict=True))

        await asyncio.gather(*(ask() for _ in parts[:_BATCHES_AT_ONCE]))
        return {key: answer for key, answer in answers.items() if answer is not not_asked}


def raw_of(reply: Reply) -> msgspec.Raw:
    """What the server answered; raises the error that came instead."""
    if isinstance(reply, SourceError):
        raise reply
    return reply


def raise_if_none_came(answers: Mapping[K, V | SourceError]) -> None:
    """Where there is no answer now to any of them, the whole question has failed."""
    errors = [answer for answer in answers.values() if isinstance(answer, Unavailable)]
    if errors and len(errors) == len(answers):
        raise errors[0]


async def _read_all(
    keys: Sequence[K], replies: Sequence[Reply], read: Callable[[K, msgspec.Raw], V]
) -> list[V | SourceError]:
    if _size(replies) <= LARGE:
        return _read_each(keys, replies, read)
    return await aside(partial(_read_each, keys, replies, read))


def _size(replies: Sequence[Reply]) -> int:
    return sum(len(reply) for reply in replies if isinstance(reply, msgspec.Raw))


def _read_each(
    keys: Sequence[K], replies: Sequence[Reply], read: Callable[[K, msgspec.Raw], V]
) -> list[V | SourceError]:
    answers: list[V | SourceError] = []
    for key, reply in zip(keys, replies, strict=True):
        try:
            answers.append(read(key, raw_of(reply)))
        except SourceError as error:
            # its traceback would hold this list, which holds it: a ring that only the collector can free
            answers.append(error.with_traceback(None))
    return answers
