"""A daemon whose event loop is watched from within: `python -m tests.hostile.sampled CONFIG OUT`.

It runs as `watcher run` does and ends by SIGTERM; then OUT has one JSON object: the lags in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Final

from watcher.app.build import run_daemon
from watcher.config import load_config
from watcher.service.logging import configure_logging
from watcher.web.sockets import control_path

EVERY: Final = 0.005


async def _sample(begin: Path, lags: list[float], used: list[float]) -> None:
    """How late each sleep ends, and what CPU time this process took meanwhile; once `begin` is there."""
    loop = asyncio.get_running_loop()
    while True:
        due, before = loop.time() + EVERY, time.process_time()
        await asyncio.sleep(EVERY)
        if lags or begin.exists():
            lags.append(max(0.0, loop.time() - due))
            used.append(time.process_time() - before)


def summary(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    found = {name: ordered[int(part * (len(ordered) - 1))] for name, part in at.items()}
    return {name: round(value * 1000, 2) for name, value in {**found, "most": ordered[-1]}.items()}


async def _run(config_file: Path, out: Path) -> None:
    config = load_config(config_file, environ=os.environ)
    configure_logging(config.log_format, sys.stderr, os.environ)
    config.state_directory.mkdir(parents=True, exist_ok=True)
    lags: list[float] = []
    used: list[float] = []
    listens = control_path(config.state_directory, os.environ)
    sampling = asyncio.create_task(_sample(listens, lags, used))
    try:
        await run_daemon(config, os.environ)
    finally:
        sampling.cancel()
        # `ru_maxrss` would be that of the process which started this one, where it was larger
        highest = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
        told = {
            "samples": len(lags),
            "lag_ms": summary(lags),
            "cpu_ms": summary(used),
            "highest_mb": round(highest, 1),
        }
        out.write_text(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), Path(sys.argv[2])))
