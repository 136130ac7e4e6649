"""Files that must be whole or absent, also after a power cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# What SQLite keeps beside a database, and which of them hold content that is nowhere else.
COMPANIONS: Final = ("-wal", "-journal", "-shm")
_HOLD_CONTENT: Final = ("-wal", "-journal")


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to `path` by its name: `ledger.sqlite-wal`."""
    return path.with_name(path.name + suffix)


def unapplied(path: Path) -> Path | None:
    """A companion of the database at `path` that still holds some of its content."""
    for suffix in _HOLD_CONTENT:
        companion = beside(path, suffix)
        if companion.exists() and companion.stat().st_size > 0:
            return companion
    return None


def discard(path: Path) -> None:
    """Remove a database and its companions, as far as they are there."""
    path.unlink(missing_ok=True)
    for suffix in COMPANIONS:
        beside(path, suffix).unlink(missing_ok=True)


def publish(finished: Path, path: Path) -> None:
    """Give a finished file its name: whoever sees the name, before or after a power cut, sees it whole."""
    sync(finished)
    finished.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
