"""What the process does when it is told: SIGTERM and SIGINT end it, SIGHUP reloads the config."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STOP: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def signals_caught(*, stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """While inside, signals call these on the running event loop; told twice, `stop` is called twice."""
    loop = asyncio.get_running_loop()
    for number in _STOP:
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number in (*_STOP, signal.SIGHUP):
            loop.remove_signal_handler(number)
