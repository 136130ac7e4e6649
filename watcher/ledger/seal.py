"""The seal of a good end: the file is as the watcher left it, and need not be read whole to be believed.

Reading every page of a ledger of a million rows takes half a second of the processor, and seconds where it
comes from the disk; a start should not. So a daemon that ends in order, and met no damage while it ran, notes
beside the ledger which file it left. Whoever finds another one (another size, another instant of its last
change, another file altogether), or no note, reads it whole. The note goes before the first write: after a
crash there is none.

After one the file is read before anything else, and not beside a daemon that already watches: by SQLite's
own promise a crash damages nothing, but what else happened to the file meanwhile nobody knows, and what was
told by a damaged page cannot be taken back.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from watcher.ledger.files import beside, unapplied

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".sealed"


def seal(path: Path) -> None:
    """Note how the closed ledger at `path` lies there; not where some of it is still in a companion.

    Nor where the disk does not take it: then the next start reads every page, and this end was a good one.
    """
    with contextlib.suppress(OSError):
        if unapplied(path) is None:
            beside(path, SUFFIX).write_text(_look(path))


def is_sealed(path: Path) -> bool:
    """Whether nothing has changed in the ledger at `path` since it was sealed."""
    try:
        return unapplied(path) is None and beside(path, SUFFIX).read_text("ascii", "replace") == _look(path)
    except FileNotFoundError:
        return False


def break_seal(path: Path) -> None:
    """From here on the ledger at `path` is written."""
    beside(path, SUFFIX).unlink(missing_ok=True)


def _look(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"
