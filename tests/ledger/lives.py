"""Processes that are meant to end badly: forks of one that has everything imported."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUT = 86  # the exit status of a life whose power was cut (disk.c)


@dataclass(frozen=True)
class Start:
    """A start on the ledger in `state`; with a `journal`, the power is cut at operation `cut_at`."""

    state: str
    journal: str | None = None
    cut_at: int = 0


def serve(live: Callable[[dict[str, Any]], None]) -> None:
    """Live each line of the standard input in a fork; answer with its exit status, negative for a signal."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _live(live, request)
        if request.get("kill_after") is not None:
            time.sleep(request["kill_after"])  # nothing is waited for: the moment of death is drawn
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _live(live: Callable[[dict[str, Any]], None], request: dict[str, Any]) -> None:
    status = 1
    try:
        live(request)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def watch_disk(directory: Path, journal: Path, cut_at: int) -> None:
    """From now on note what is done to `directory`; the process ends at operation `cut_at` (0: never)."""
    watch = ctypes.CDLL(None).disk_watch
    watch.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64]
    watch(os.fsencode(directory), os.fsencode(journal), cut_at)


def refuse(kinds: int, error: int, passing: int = 0) -> None:
    """From now on operations of these kinds, but the next `passing` ones, fail with this errno."""
    ctypes.CDLL(None).disk_refuse(ctypes.c_int(kinds), ctypes.c_int(error), ctypes.c_int64(passing))
