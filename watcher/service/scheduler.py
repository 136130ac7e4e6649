"""Periodic housekeeping on apscheduler: late jobs run late rather than never, one at a time, counted.

Connections and the outbox are tasks of their own and not jobs.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_JITTER: Final = 0.1  # of the period, so that two watchers do not ask a source in step for ever


class Scheduler:
    """Runs coroutines periodically, in UTC; what one raises is counted and does not stop the others."""

    def __init__(self) -> None:
        self._scheduler: Any = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                # the default of one second drops a job that starts later than that
                "misfire_grace_time": None,
            },
        )
        self._failures: dict[str, int] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR | EVENT_JOB_MISSED)

    @property
    def failures(self) -> Mapping[str, int]:
        """How often each job failed; every job is in it."""
        return self._failures

    def every(
        self, seconds: float, name: str, work: Callable[[], Awaitable[None]], *, at_once: bool = False
    ) -> None:
        """Run `work` every so many seconds, for the first time after that long or `at_once`."""

        async def run() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                await work()
            finally:
                self._running.discard(task)

        self._failures.setdefault(name, 0)
        first = {"next_run_time": datetime.now(UTC)} if at_once else {}
        trigger = IntervalTrigger(seconds=seconds, jitter=seconds * _JITTER, timezone=UTC)
        self._scheduler.add_job(run, trigger, id=name, name=name, replace_existing=True, **first)

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._scheduler.start()

    def hasten(self) -> None:
        """Make every job due now: each waits for an instant, and the clock was set back."""
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=datetime.now(UTC))

    async def stop(self, seconds: float) -> None:
        """Start nothing more, let what runs finish for that long, then cancel it."""
        self._scheduler.pause()
        if self._running:
            # apscheduler's own shutdown cancels running coroutines at once, whatever it is told
            await asyncio.wait(set(self._running), timeout=seconds)
        self._scheduler.remove_listener(self._failed)
        self._scheduler.shutdown(wait=False)
        # the shutdown itself is a callback on the loop
        await asyncio.sleep(0)

    def _failed(self, event: Any) -> None:
        self._failures[event.job_id] = self._failures.get(event.job_id, 0) + 1
