"""`watcher` as ever, which at SIGUSR1 writes how many asyncio tasks it has to the file in `TASKS_FILE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from watcher.cli import main


def count(*_: object) -> None:
    """The handler; Python runs it between two steps of the event loop's own thread."""
    path = Path(os.environ["TASKS_FILE"])
    new = path.with_suffix(".new")
    new.write_text(str(len(asyncio.all_tasks())))
    new.replace(path)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, count)
    sys.exit(main())
