"""What the process does when it is told: SIGTERM and SIGINT end it, SIGHUP reloads the config."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from watcher.service.hangups import EarlyHangup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_STOP: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def signals_caught(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """While inside, signals call these on the running event loop; told twice, `stop` is called twice.

    A SIGHUP that came before, and was noted, calls `reload` as well. Afterwards they do nothing: the process
    is on its way out, and must not be ended amid its closing.
    """
    loop = asyncio.get_running_loop()
    calls = {**dict.fromkeys(_STOP, stop), signal.SIGHUP: reload}

    def caught(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(calls[signal.Signals(number)])

    # Not by the loop's own `add_signal_handler`: to remove one is to have the default action, and die of it.
    for number in calls:
        before = signal.signal(number, caught)
        if isinstance(before, EarlyHangup) and before.came:
            reload()
    try:
        yield
    finally:
        for number in calls:
            signal.signal(number, signal.SIG_IGN)
