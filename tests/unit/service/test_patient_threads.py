"""What blocks in a thread, and does not end, holds up no end."""

from __future__ import annotations

import asyncio
import threading

from watcher.service.threads import PatientThreads


def test_the_loop_ends_although_a_thread_does_not() -> None:
    begun, never = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        never.wait()

    async def work() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(PatientThreads(0.1))
        hanging = loop.run_in_executor(None, hang)
        await asyncio.to_thread(begun.wait)
        hanging.cancel()
        return "done"

    try:
        assert asyncio.run(work()) == "done"
    finally:
        never.set()


def test_what_ends_in_time_is_waited_for() -> None:
    done = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(PatientThreads(60))
        loop.run_in_executor(None, lambda: done.append(threading.current_thread()))

    asyncio.run(work())
    [thread] = done
    assert not thread.is_alive()
