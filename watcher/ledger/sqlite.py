"""Which SQLite this is, and how its connections are opened.

pysqlite3 brings SQLite 3.53; where it has no wheel the standard library's is used. A library before
3.51.3 can lose acknowledged commits in WAL mode when two connections checkpoint at once, so there the
ledger runs with a rollback journal and the strictest fsyncs instead (slower readers, same promise).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def _module() -> Any:
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        return importlib.import_module("sqlite3")


driver: Final[Any] = _module()
# Parameters of these types are bound as they are. Not told so, sqlite3 looks for an adapter of each in vain,
# which takes longer than to insert a row (0.8 µs each).
for _type in (bool, bytes, type(None)):
    driver.register_adapter(_type, lambda same: same)
VERSION: Final[str] = driver.sqlite_version
WAL_IS_SAFE: Final = tuple(int(part) for part in VERSION.split(".")) >= (3, 51, 3)

BUSY_MS: Final = 5_000
WRITER_CACHE_KIB: Final = 4_096
# More than there are: with the default of 128 a writer that does everything prepares each again and again.
STATEMENTS: Final = 512


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; transactions are opened explicitly (`BEGIN IMMEDIATE`)."""
    connection: sqlite3.Connection = driver.connect(
        str(path), isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    if WAL_IS_SAFE:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
    else:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=EXTRA")
    connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
    _harden(connection)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for pages, API and commands without a daemon."""
    connection: sqlite3.Connection = driver.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    connection.execute("PRAGMA query_only=ON")
    _harden(connection)
    return connection


def open_still(path: Path) -> sqlite3.Connection:
    """A read-only connection to a file that nobody writes and that needs no recovery; it leaves no trace."""
    connection: sqlite3.Connection = driver.connect(
        f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
    )
    _harden(connection)
    return connection


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says by it that the file is corrupt, or is no database (sqlite.org/rescode.html)."""
    return isinstance(error, driver.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in {
        11,
        26,
    }


def _harden(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.row_factory = driver.Row
