"""Notices that the wall clock was set back: what waits for an instant would wait as much longer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
LEAST_SECONDS: Final = 2.0  # less than that is a clock that is being disciplined


async def notice_set_backs(
    told: Callable[[], Awaitable[None]], *, wall: Callable[[], float], monotonic: Callable[[], float]
) -> NoReturn:
    """Call `told` each time that `wall` has fallen behind `monotonic` at once; both give seconds.

    A machine that slept, or a clock that was set forward, is ahead afterwards: then all is due, and nothing
    is to be done.
    """
    ahead = wall() - monotonic()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        before, ahead = ahead, wall() - monotonic()
        if before - ahead > LEAST_SECONDS:
            log.warning("the clock was set back", extra={"seconds": round(before - ahead)})
            await told()
