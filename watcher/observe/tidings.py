"""What the log says of sources that come and go: each change once, and of one that flaps that it does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from watcher.sources.base import SourceError

log = logging.getLogger(__name__)

RECOVERIES: Final = 2  # of one source are told within that time; with one more it flaps
WITHIN_SECONDS: Final = 600.0


class Words(NamedTuple):
    """What is said when it begins, when it ends, and when it does both too often."""

    failed: str
    recovered: str
    flaps: str


AWAY: Final = Words("source failed", "source recovered", "source comes and goes")
SILENT: Final = Words("source did not answer", "source answers again", "source answers now and then")


class Tidings:
    """Told of every change, it says what is worth a line: of what flaps, when it has stayed for `within`."""

    def __init__(self, words: Words = AWAY, within: float = WITHIN_SECONDS) -> None:
        self._words = words
        self._within = within
        self._failing: dict[str, SourceError] = {}
        self._recovered: dict[str, list[float]] = {}  # when, by the event loop's time
        self._flapping: dict[str, asyncio.TimerHandle] = {}

    def failed(self, source: str, why: SourceError) -> None:
        """The source is away, or still is; once, however often it fails again the same way."""
        known = self._failing.get(source)
        self._failing[source] = why
        if known is None:
            self._put_off(source)
        if source not in self._flapping and (known is None or known.reason != why.reason):
            self._say_failed(source, why)

    def connected(self, source: str) -> None:
        """The source is here, for the first time or again."""
        if self._failing.pop(source, None) is None:
            return
        if source in self._flapping:
            self._put_off(source)
            return
        now = asyncio.get_running_loop().time()
        recent = [at for at in self._recovered.get(source, ()) if now - at < self._within]
        self._recovered[source] = [*recent, now]
        if len(recent) < RECOVERIES:
            log.info(self._words.recovered, extra={"source": source})
            return
        log.warning(
            "%s: no more lines about it until it stays",
            self._words.flaps,
            extra={"source": source, "recoveries": len(recent) + 1, "within_seconds": int(self._within)},
        )
        self._await_rest(source)

    def _put_off(self, source: str) -> None:
        waiting = self._flapping.get(source)
        if waiting is not None:
            waiting.cancel()
            self._await_rest(source)

    def _await_rest(self, source: str) -> None:
        loop = asyncio.get_running_loop()
        self._flapping[source] = loop.call_later(self._within, self._rests, source)

    def _rests(self, source: str) -> None:
        """It has stayed up, or away, for as long."""
        del self._flapping[source], self._recovered[source]
        why = self._failing.get(source)
        if why is None:
            log.info(self._words.recovered, extra={"source": source})
        else:
            self._say_failed(source, why)

    def _say_failed(self, source: str, why: SourceError) -> None:
        log.warning(self._words.failed, extra={"source": source, "reason": why.reason, "error": str(why)})
