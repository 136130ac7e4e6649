"""A cache that outlives runs: each folder is built once, however many processes ask for it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPLACING: Final = (
    "BITCOIND=/path/to/bitcoind, ELECTRUMX=/path/to/electrumx_server, MONITORING=/folder, CHROMIUM=/path"
)
_STEP_SECONDS: Final = 600  # for the slowest mirror; on an ordinary line no step takes ten


class FetchError(RuntimeError):
    """A part could not be fetched; the message says which, why, and how to do without."""


def cache() -> Path:
    """The folder that outlives runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "treasury-watcher"


def existing(path: str, variable: str) -> Path:
    """The program that a variable names; `FetchError` where there is none."""
    executable = Path(path).absolute()
    if not os.access(executable, os.X_OK):
        raise FetchError(f"{variable} names no executable file: {path}")
    return executable


def cached(name: str, build: Callable[[Path, Path], None]) -> Path:
    """The folder `name` of the cache, built at most once however many processes ask."""
    root = cache()
    final = root / name
    if final.is_dir():
        return final
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{name}.lock"):
        if final.is_dir():
            return final
        for left_behind in root.glob(f".{name}.*"):
            # By a run that was killed, since whoever lives holds the lock; a pip of it may still write there.
            shutil.rmtree(left_behind, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
        partial.chmod(0o755)
        say(f"fetching {name} …")
        began = time.monotonic()
        build(partial, root / f"{name}.log")
        partial.rename(final)
        say(f"{name} is ready after {time.monotonic() - began:.0f} s")
        return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)


def run(command: list[str], log: Path, doing: str, *, cwd: Path | None = None) -> str:
    """The command's output; its errors go to `log` alone, since they may name hosts."""
    try:
        with log.open("ab") as errors:
            done = subprocess.run(
                command, cwd=cwd, stdout=subprocess.PIPE, stderr=errors, timeout=_STEP_SECONDS, check=False
            )
    except subprocess.TimeoutExpired:
        raise FetchError(f"{doing} did not end within {_STEP_SECONDS} s, see {log}") from None
    if done.returncode != 0:
        raise FetchError(
            f"{doing} failed with {done.returncode}, see {log}; what replaces parts: {REPLACING}"
        )
    return done.stdout.decode(errors="replace")
