"""The next version of the program, with one more migration; a nursery of its starts on old ledgers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ledger.lives import Start, serve, watch_disk
from watcher.bitcoin.networks import Network
from watcher.ledger import schema, version

if TYPE_CHECKING:
    from sqlite_utils import Database

version.VERSION += 1


@schema.migrations()
def m999_later(db: Database) -> None:
    """A migration of the heavy kind: every row of the log and of the headers is written anew."""
    db.execute("ALTER TABLE events ADD COLUMN later TEXT")
    db.execute("UPDATE events SET later = type || id")
    db.execute("CREATE TABLE headers_later (height INTEGER PRIMARY KEY, raw BLOB, later INTEGER) STRICT")
    db.execute("INSERT INTO headers_later SELECT height, raw, height FROM headers")
    db.execute("DROP TABLE headers")
    db.execute("ALTER TABLE headers_later RENAME TO headers")
    db.execute(f"PRAGMA user_version = {version.VERSION}")


def live(start: Start) -> None:
    """Open the ledger, which migrates it, and close it."""
    # only now: it takes the schema as it finds it
    opening = importlib.import_module("watcher.ledger.opening")
    if start.journal is not None:
        watch_disk(Path(start.state), Path(start.journal), start.cut_at)
    opening.create_or_open(Path(start.state), Network.REGTEST, 0).close()


if __name__ == "__main__":
    importlib.import_module("watcher.ledger.opening")
    serve(lambda request: live(Start(**request)))
