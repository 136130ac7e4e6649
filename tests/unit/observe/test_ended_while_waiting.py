"""Whoever waits is ended by being cancelled, also in the very turn in which that comes which it waits for.

`asyncio.wait_for` of Python 3.11 returns then: the task went on, and the daemon did not end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from watcher.observe.doorbell import Doorbells
from watcher.sources.backoff import Backoff, Reconnection
from watcher.sources.base import Unavailable
from watcher.sources.health import HealthRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ENOUGH_TURNS = 20


async def is_ended(work: Coroutine[None, None, None], come: Callable[[], None], turns: int) -> bool:
    """Whether it ends that is cancelled so many turns of the loop after that which it waits for."""
    waiting = asyncio.create_task(work)
    for _ in range(ENOUGH_TURNS):
        await asyncio.sleep(0)
    come()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    for _ in range(ENOUGH_TURNS):
        await asyncio.sleep(0)
    ended = waiting.cancelled()
    waiting.cancel()
    return ended


@pytest.mark.parametrize("turns", range(4))
async def test_who_waits_for_a_source_to_come_or_go(turns: int) -> None:
    bells = Doorbells(("a",))

    async def wait() -> None:
        while True:
            await bells.changed(within=60)

    assert await is_ended(wait(), bells.stir, turns)


@pytest.mark.parametrize("turns", range(4))
async def test_who_waits_to_connect_again(turns: int) -> None:
    again = Reconnection("a", HealthRecord(), Backoff(floor=60, first=60, cap=60), lambda: 0.5)

    async def refused() -> Unavailable:
        return Unavailable("no")

    assert await is_ended(again.run(Doorbells(("a",)), refused), again.hurry, turns)
