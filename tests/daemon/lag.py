"""The daemon with a witness on its loop, who prints how late it woke: `python -m tests.daemon.lag CONFIG`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watcher.app.build import run_daemon
from watcher.config.load import load_config

if TYPE_CHECKING:
    from typing import NoReturn

EVERY: Final = 0.005
WORTH_TELLING: Final = 0.01
_SCHEDULED: Final = Path("/proc/thread-self/schedstat")


async def _witness() -> NoReturn:
    """A line `instant lag`, in seconds of the loop's clock, for each that is late by the program's doing.

    The time in which the machine had no processor for this thread is taken off.
    """
    loop = asyncio.get_running_loop()
    while True:
        due, waited = loop.time() + EVERY, _waited()
        await asyncio.sleep(EVERY)
        if (lag := loop.time() - due - (_waited() - waited)) > WORTH_TELLING:
            sys.stdout.write(f"{loop.time():.4f} {lag:.4f}\n")
            sys.stdout.flush()


def _waited() -> float:
    """Seconds that this thread could have run and was not let (proc(5), `schedstat`)."""
    return int(_SCHEDULED.read_text().split()[1]) / 1e9


async def _main(path: Path) -> None:
    witness = asyncio.create_task(_witness())
    config = load_config(path, environ=os.environ)
    config.state_directory.mkdir(parents=True, exist_ok=True)
    await run_daemon(config, os.environ)
    witness.cancel()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
