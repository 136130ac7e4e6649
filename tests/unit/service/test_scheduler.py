"""Periodic work: one at a time, late rather than never, and failures counted."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from watcher.service.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not within the deadline"
        await asyncio.sleep(0.005)


async def test_a_job_runs_again_and_again_and_another_ones_failures_are_counted() -> None:
    scheduler = Scheduler()
    runs: list[str] = []

    async def works() -> None:
        runs.append("works")

    async def fails() -> None:
        runs.append("fails")
        raise RuntimeError("on purpose")

    scheduler.every(0.02, "works", works)
    scheduler.every(0.02, "fails", fails)
    scheduler.every(3600, "never", works)
    assert scheduler.failures == {"works": 0, "fails": 0, "never": 0}
    scheduler.start()
    await until(lambda: runs.count("works") >= 3 and scheduler.failures["fails"] >= 3)
    assert scheduler.failures["works"] == 0
    assert scheduler.failures["never"] == 0
    await scheduler.stop(1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_at_once_does_not_wait_for_the_first_period() -> None:
    scheduler = Scheduler()
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()

    scheduler.every(3600, "reread", work, at_once=True)
    scheduler.start()
    await asyncio.wait_for(ran.wait(), 60)
    await scheduler.stop(1)


async def test_a_job_that_is_slow_is_never_run_twice_at_once() -> None:
    scheduler = Scheduler()
    running, most, ended = 0, 0, 0

    async def slow() -> None:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        ended += 1

    scheduler.every(0.01, "slow", slow)
    scheduler.start()
    await until(lambda: ended >= 3)
    await scheduler.stop(1)
    assert most == 1


async def test_a_job_that_the_loop_was_too_busy_for_still_runs() -> None:
    scheduler = Scheduler()
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()

    scheduler.every(3600, "late", work, at_once=True)
    scheduler.start()
    # holds the loop up beyond apscheduler's default grace of one second
    threading.Event().wait(1.3)
    await asyncio.wait_for(ran.wait(), 60)
    assert scheduler.failures["late"] == 0
    await scheduler.stop(1)


async def test_stopping_lets_a_job_finish_within_its_time_and_no_longer() -> None:
    scheduler = Scheduler()
    begun, finished = asyncio.Event(), asyncio.Event()
    stuck_ended = asyncio.Event()

    async def short() -> None:
        begun.set()
        await asyncio.sleep(0.2)
        finished.set()

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stuck_ended.set()

    scheduler.every(3600, "short", short, at_once=True)
    scheduler.every(3600, "stuck", stuck, at_once=True)
    scheduler.start()
    await asyncio.wait_for(begun.wait(), 60)
    await scheduler.stop(0.5)
    assert finished.is_set()
    await asyncio.wait_for(stuck_ended.wait(), 60)
    assert scheduler.failures == {"short": 0, "stuck": 0}
