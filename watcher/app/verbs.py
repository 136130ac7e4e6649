"""What an operator asks of the running daemon beyond its config: tests, pauses, notes, announcements."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from watcher.app.rehearsal import rehearse
from watcher.bitcoin.addresses import decode_address
from watcher.core.instants import rfc3339
from watcher.delivery.verdict import DELIVERED
from watcher.ledger import outbox as outbox_rows
from watcher.ledger.addressed import tell_one
from watcher.ledger.announcing import announce
from watcher.ledger.expectations import Announcement
from watcher.ledger.notes import note
from watcher.ledger.pauses import pause
from watcher.web.verbs import OverError, Paused, Rehearsal, Verdict

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from watcher.app.current import Current
    from watcher.app.deliveries import Deliveries
    from watcher.app.pinning import Pinning
    from watcher.bitcoin.types import Sats
    from watcher.core.events import Data
    from watcher.core.outbox import Attempt
    from watcher.core.rehearsal import Sample
    from watcher.ledger.commit import Committed
    from watcher.ledger.writer import Writer
    from watcher.observe.watch import Watch

log = logging.getLogger(__name__)

TEST: Final = "watcher.test"
# one attempt and what people's endpoints gather, within the half minute that a command waits for us
VERDICT_SECONDS: Final = 25.0


class Verbs:
    """Each is one unit of work on the ledger; what was told is sent at once."""

    def __init__(
        self,
        current: Current,
        *,
        writer: Writer,
        deliveries: Deliveries,
        watch: Watch,
        pinning: Pinning,
        now_ms: Callable[[], int],
    ) -> None:
        self._current = current
        self._writer = writer
        self._deliveries = deliveries
        self._watch = watch
        self._pinning = pinning
        self._now_ms = now_ms
        self._awaited: dict[int, asyncio.Future[Attempt]] = {}

    def release(self, source: str, reason: str) -> bool | None:
        """Ask a quarantined source again; False: it was in none, None: no source of that name."""
        if source not in self._watch.attendants:
            return None
        released = self._watch.release(source)
        if released:
            log.warning("source released from quarantine: %s", reason, extra={"source": source})
        return released

    async def trust(self, source: str, fingerprint: bytes | None) -> bool | None:
        """Know a source by this key from now on, or by the next it shows; None: no source of that name."""
        if source not in self._watch.attendants:
            return None
        trusted = await self._pinning.trust(source, fingerprint)
        if trusted:
            self._watch.release(source)
            self._watch.attendants[source].source.hurry()
        return trusted

    def attempted(self, attempt: Attempt) -> None:
        """An attempt was recorded: whoever waits for it has the verdict."""
        verdict = self._awaited.get(attempt.delivery)
        if verdict is not None and not verdict.done():
            verdict.set_result(attempt)

    async def test(self, endpoint: str) -> Verdict | Paused | None:
        """Send a test message the whole way, and wait for the first verdict; None: no such endpoint.

        An endpoint that said 410 is tried again. Nothing is sent to one that is paused.
        """
        return await self._test(endpoint, {})

    async def rehearse(self, sample: Sample) -> Sequence[Rehearsal]:
        """Send what the rules would say of the sample, as test messages, and wait for the verdicts."""
        found = rehearse(self._current.now.config, sample, self._now_ms())
        tests = [
            self._test(
                each.notice.endpoint,
                {
                    "sample": {
                        "title": each.title,
                        "type": each.notice.event.type,
                        "step": each.notice.step,
                        "severity": str(each.notice.severity),
                        "rules": list(each.notice.rules),
                    }
                },
            )
            for each in found
        ]
        verdicts = await asyncio.gather(*tests)
        return [
            Rehearsal(each.notice.event.type, each.notice.step, verdict)
            for each, verdict in zip(found, verdicts, strict=True)
            if verdict is not None
        ]

    async def pause(self, endpoint: str, seconds: int, reason: str, by: str) -> int | None:
        """Spare an endpoint for a while; until when, None: no such endpoint."""
        if endpoint not in self._current.now.shown.endpoints:
            return None
        at_ms = self._now_ms()
        until_ms = at_ms + seconds * 1000
        settings = self._current.now.settings
        await self._do(lambda c: pause(c, settings, endpoint, until_ms, reason=reason, by=by, at_ms=at_ms))
        if seconds:
            self._deliveries.hold(endpoint)
        else:
            self._deliveries.ring(endpoint)
        return until_ms

    async def note(self, incident: str, text: str, by: str) -> str | None:
        """Append a remark to an incident; the event's id, None: no such incident."""
        settings, at_ms = self._current.now.settings, self._now_ms()
        committed = await self._writer.run(lambda c: note(c, settings, incident, text, by, at_ms))
        if committed is None:
            return None
        self._ring(committed)
        return committed.events[0].id

    async def expect(
        self, treasury: str, to: Sequence[str], most: Sats, until_ms: int, reason: str, by: str
    ) -> str | None:
        """Announce a movement; the event's id, None: no such treasury.

        Malformed where one of `to` is no address of this network, OverError where the time is over.
        """
        now = self._current.now
        if treasury not in {each.name for each in now.config.treasuries}:
            return None
        if until_ms <= self._now_ms():
            raise OverError(f"{rfc3339(until_ms)} is in the past")
        scripts = tuple(dict.fromkeys(decode_address(address, now.config.network) for address in to))
        announced = Announcement(treasury, scripts, most, until_ms)
        committed = await self._do(
            lambda c: announce(c, now.settings, announced, reason=reason, by=by, at_ms=self._now_ms())
        )
        return committed.events[0].id

    async def _test(self, endpoint: str, more: Data) -> Verdict | Paused | None:
        if endpoint not in self._current.now.shown.endpoints:
            return None
        sent = await self._writer.run(partial(self._send, endpoint, more))
        if isinstance(sent, Paused):
            return sent
        event, delivery = sent
        verdict: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
        self._awaited[delivery] = verdict
        self._deliveries.ring(endpoint)
        try:
            async with asyncio.timeout(VERDICT_SECONDS):
                attempt = await verdict
        except TimeoutError:
            return Verdict(endpoint, event, delivered=False, outcome="no_verdict_yet")
        finally:
            del self._awaited[delivery]
        return Verdict(
            endpoint,
            event,
            delivered=attempt.outcome == DELIVERED,
            outcome=attempt.outcome,
            status=attempt.status,
            took_ms=attempt.took_ms,
        )

    def _send(self, endpoint: str, more: Data, connection: sqlite3.Connection) -> tuple[str, int] | Paused:
        at_ms = self._now_ms()
        paused_ms = outbox_rows.paused_until(connection, endpoint, at_ms)
        if paused_ms is not None:
            return Paused(endpoint, rfc3339(paused_ms))
        outbox_rows.revive(connection, endpoint)
        event = tell_one(connection, self._current.now.settings, TEST, endpoint, at_ms, more)
        row = connection.execute(
            "SELECT id FROM deliveries WHERE endpoint = ? AND webhook_id = ?", (endpoint, event.id)
        ).fetchone()
        return event.id, int(row["id"])

    async def _do(self, work: Callable[[sqlite3.Connection], Committed]) -> Committed:
        committed = await self._writer.run(work)
        self._ring(committed)
        return committed

    def _ring(self, committed: Committed) -> None:
        for endpoint in committed.endpoints:
            self._deliveries.ring(endpoint)
