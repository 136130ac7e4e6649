"""Backups and restores on a disk that forgets; a nursery of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.ledger.lives import serve, watch_disk
from watcher.bitcoin.networks import Network
from watcher.ledger.backup import backup, restore
from watcher.ledger.opening import open_existing


@dataclass(frozen=True)
class Copy:
    """A backup of the state `source`, or with `restoring` a restore of the backup `source`, to `to`.

    The power is cut at operation `cut_at` on what is in `to`.
    """

    source: str
    to: str
    journal: str
    cut_at: int = 0
    restoring: bool = False


def live(copy: Copy) -> None:
    """Make it."""
    source, to = Path(copy.source), Path(copy.to)
    watch_disk(to, Path(copy.journal), copy.cut_at)
    if copy.restoring:
        restore(source, to)
    else:
        backup(open_existing(source, Network.REGTEST), to, now_ms=0, program="test")


if __name__ == "__main__":
    serve(lambda request: live(Copy(**request)))
