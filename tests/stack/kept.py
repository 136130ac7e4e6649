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
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

REPLACING: Final = (
    "BITCOIND=/path/to/bitcoind, ELECTRUMX=/path/to/electrumx_server, MONITORING=/folder, CHROMIUM=/path"
)
_STEP_SECONDS: Final = 600  # for the slowest mirror; on an ordinary line no step takes ten
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 5.0


class FetchError(RuntimeError):
    """A part could not be fetched; the message says which, why, and how to do without."""


class StepError(FetchError):
    """A command failed that may do better when all is begun again: a line broke, a mirror moved on."""


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
    """The folder `name` of the cache, built at most once however many processes ask.

    `build` fills the folder it is given and writes to the log; after a `StepError` it is tried again, twice.
    """
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
        say(f"fetching {name} …")
        began = time.monotonic()
        tried(lambda: _built(root, name, build).rename(final))
        say(f"{name} is ready after {time.monotonic() - began:.0f} s")
        return final


def _built(root: Path, name: str, build: Callable[[Path, Path], None]) -> Path:
    """A folder of its own with all of it, or nothing."""
    partial = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
    partial.chmod(0o755)
    try:
        build(partial, root / f"{name}.log")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return partial


def tried(do: Callable[[], T]) -> T:
    """What it returns; done again after a `StepError`, but not for ever."""
    for _ in range(_TRIES - 1):
        try:
            return do()
        except StepError as failure:
            say(f"{failure}; once more in {_PAUSE_SECONDS:g} s …")
            time.sleep(_PAUSE_SECONDS)
    return do()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)


def run(command: list[str], log: Path, doing: str, *, cwd: Path | None = None) -> str:
    """The command's output; its errors go to `log` alone, since they may name hosts. Raises `StepError`."""
    try:
        with log.open("ab") as errors:
            done = subprocess.run(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=_STEP_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise StepError(f"{doing} did not end within {_STEP_SECONDS} s, see {log}") from None
    if done.returncode != 0:
        raise StepError(f"{doing} failed with {done.returncode}, see {log}; what replaces parts: {REPLACING}")
    return done.stdout.decode(errors="replace")
