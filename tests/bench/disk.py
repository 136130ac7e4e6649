"""What the disk asks for a promise, beside which every durable figure is to be read."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fsync_ms(folder: Path, count: int = 50) -> list[float]:
    """Milliseconds of so many appends of 4 kB, each with its `fsync`."""
    path = folder / "fsync"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        took = []
        for _ in range(count):
            os.write(descriptor, bytes(4096))
            began = time.perf_counter()
            os.fsync(descriptor)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return took
