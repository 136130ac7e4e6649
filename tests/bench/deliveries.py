"""The outbox: events that are committed, signed, posted and recorded as delivered, on a real ledger file."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from standardwebhooks.webhooks import Webhook

from tests.bench.result import Row, median
from tests.bench.sink import sink
from tests.delivery.rig import SECRET, Ledger, target, webhook
from watcher.delivery.outbox import Outbox, Timing
from watcher.delivery.queues import CONCURRENT
from watcher.ledger.outbox import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watcher.core.outbox import Attempt

# about what a payload of one movement and two destinations has
_BODY: Final = json.dumps(
    {"type": "tx.seen", "timestamp": "2026-11-24T10:00:00Z", "data": {"id": "x" * 1_400}}
)


async def deliveries(folder: Path, *, events: int, repeats: int) -> Row:
    """Ours records each attempt in the ledger, to go on there after a crash; the reference forgets."""
    took: list[float] = []
    bare_took: list[float] = []
    cpu: list[float] = []
    for number in range(repeats):
        ledger = Ledger(folder / f"deliveries {number}.sqlite")
        async with sink() as url:
            ids = ledger.owe_bodies("ops", [_BODY] * events)
            used = [time.process_time()]
            took.append(events / await _ours(ledger, url, events))
            used.append(time.process_time())
            bare_took.append(events / await _bare(url, ids))
            used.append(time.process_time())
            cpu.append((used[2] - used[1]) / (used[1] - used[0]))
        ledger.close()
    return Row(
        name=f"deliveries of {events:,} events to one endpoint",
        unit="/s",
        more_is_better=True,
        ours=tuple(took),
        reference="bare aiohttp client: signs and posts",
        theirs=tuple(bare_took),
        beside={"CPU time of the reference by ours": median(cpu)},
    )


async def _ours(ledger: Ledger, url: str, events: int) -> float:
    """Seconds until the last is recorded."""
    recorded = asyncio.Event()
    left = iter(reversed(range(events)))

    def observe(endpoint: str, attempt: Attempt, seconds: float) -> None:
        if attempt.outcome != "delivered":
            raise RuntimeError(f"{endpoint}: {attempt.outcome}")
        if next(left) == 0:
            recorded.set()

    async with webhook(target(url)) as sender:
        timing = Timing(now=time.time, draw=lambda: 0.0)
        outbox = Outbox(LedgerStore(ledger.run), {"ops": sender}, timing=timing, observer=observe)
        began = time.perf_counter()
        running = asyncio.create_task(outbox.run())
        ended = asyncio.create_task(recorded.wait())
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
        took = time.perf_counter() - began
        ended.cancel()
        if running.done():
            running.result()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return took


async def _bare(url: str, ids: Sequence[str]) -> float:
    """Seconds until the last is answered, as many at once as ours has under way."""
    key = Webhook(SECRET)
    waiting = iter(ids)

    async def post(session: aiohttp.ClientSession) -> None:
        for webhook_id in waiting:
            now = datetime.now(UTC)
            headers = {
                "content-type": "application/json",
                "webhook-id": webhook_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": key.sign(webhook_id, now, _BODY),
            }
            async with session.post(url, data=_BODY.encode(), headers=headers) as answer:
                await answer.read()
                answer.raise_for_status()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENT)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(post(session) for _ in range(CONCURRENT)))
        return time.perf_counter() - began
