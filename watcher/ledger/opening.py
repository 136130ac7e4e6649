"""Creating, opening and refusing a ledger file.

A file of the ledger's name is a whole ledger or it is refused, and what is refused is left as it was: it
is created under another name and looked at through a connection that cannot write. Before a migration it
is copied aside, and the copy is synced first.
"""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from watcher.ledger.files import beside, discard, publish, unapplied
from watcher.ledger.logs import new_log_id
from watcher.ledger.mark import missing
from watcher.ledger.queries import last_sequence
from watcher.ledger.seal import break_seal, is_sealed
from watcher.ledger.sqlite import driver, open_reader, open_still, open_writer
from watcher.ledger.sums import add_up_aside
from watcher.ledger.version import VERSION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from watcher.bitcoin.networks import Network

FILE: Final = "ledger.sqlite"


class LedgerUnusableError(Exception):
    """The ledger is absent, corrupt, newer than this program or of another network; the text says which."""


def path_in(state: Path) -> Path:
    """Where the ledger of a state directory lies."""
    return state / FILE


def create_or_open(state: Path, network: Network, now_ms: int) -> sqlite3.Connection:
    """The writing connection to the ledger of `state`: created where there is none, migrated where old."""
    path = path_in(state)
    with refusals(path):
        if path.exists():
            _examine(path, network)
        else:
            _create(path, network, now_ms)
        break_seal(path)
        connection = open_writer(path)
        try:
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_existing(state: Path, network: Network, *, whole: bool = False) -> sqlite3.Connection:
    """A read-only connection to the ledger of `state`; `whole` reads every page, whatever its seal says."""
    path = path_in(state)
    with refusals(path):
        check_file(path)
        connection = _reading(path)
        try:
            check_sound(connection, path, whole=whole)
            check_network(connection, path, network)
            add_up_aside(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def check_file(path: Path) -> None:
    """LedgerUnusableError unless something lies at `path` that could be a ledger."""
    if not path.exists():
        raise LedgerUnusableError(f"no ledger at {path}")
    if not path.is_file():
        raise LedgerUnusableError(f"no ledger at {path}: it is not a file; move it away")
    if path.stat().st_size == 0:
        raise LedgerUnusableError(
            f"no ledger at {path}: the file is empty, which a ledger never is; {_INSTEAD.format(path)}"
        )
    if not unapplied(path) and _is_cut(path):
        raise LedgerUnusableError(_corrupt(path, "it ends in the middle of a page"))


def _is_cut(path: Path) -> bool:
    """Whether the file is no whole number of pages: SQLite itself would not miss an empty last one."""
    with path.open("rb") as file:
        head = file.read(18)
    page = int.from_bytes(head[16:18], "big")
    return page > 1 and path.stat().st_size % page != 0


def check_sound(connection: sqlite3.Connection, path: Path, *, whole: bool = False) -> None:
    """LedgerUnusableError unless it is a whole ledger of a version this program knows.

    Every page is read, but where the file is as a daemon left it that ended well; `whole`: there too.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LedgerUnusableError(
            f"{path} was written by a newer version (schema {version}, this program knows {VERSION}): "
            "run that version, or restore the copy it made before its migration"
        )
    verdict = (
        "ok" if is_sealed(path) and not whole else connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    )
    if verdict != "ok":
        raise LedgerUnusableError(_corrupt(path, str(verdict)))
    if version == 0:
        raise LedgerUnusableError(f"no ledger at {path}: it is a database of something else; move it away")


def check_network(connection: sqlite3.Connection, path: Path, network: Network) -> None:
    """LedgerUnusableError where the ledger is of another network."""
    written = connection.execute("SELECT value FROM meta WHERE key = 'network'").fetchone()[0]
    if written != str(network):
        raise LedgerUnusableError(f"{path} is a ledger of {written}, and the config says {network}")


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Whatever is said against the ledger at `path`, by SQLite or the system, is a LedgerUnusableError.

    It names the file: the ledger, or that companion of it which the system refuses.
    """
    try:
        yield
    except driver.DatabaseError as error:
        if isinstance(error, driver.OperationalError):
            raise LedgerUnusableError(_unusable(path, str(error))) from error
        raise LedgerUnusableError(_corrupt(path, str(error))) from error
    except OSError as error:
        # which may be one of its companions
        raise LedgerUnusableError(_unusable(error.filename or path, error.strerror or str(error))) from error


def damage_met(path: Path, what: str) -> str:
    """What is to be said where the ledger at `path` turns out not to be whole while it is in use."""
    return f"{path} is corrupt ({what}): {_AFTER_DAMAGE}"


def _create(path: Path, network: Network, now_ms: int) -> None:
    orphan = unapplied(path)
    if orphan is not None:
        raise LedgerUnusableError(
            f"{orphan} lies there without its ledger {path.name}, and would spoil a new one: "
            f"put the ledger back beside it; {_INSTEAD.format(orphan)}"
        )
    new = beside(path, ".new")
    discard(new)
    connection = open_writer(new)
    try:
        _apply_migrations(connection)
        connection.execute(
            "INSERT INTO meta (key, value) VALUES ('network', ?), ('log', ?), ('created_ms', ?)",
            (str(network), new_log_id(), str(now_ms)),
        )
        into_one_file(connection)
    finally:
        connection.close()
    publish(new, path)


def into_one_file(connection: sqlite3.Connection) -> None:
    """Move everything from the companions into the database itself, and remove them."""
    connection.execute("PRAGMA journal_mode=DELETE")


def _examine(path: Path, network: Network) -> None:
    """Refuse what cannot be used, before a connection that writes has touched it."""
    check_file(path)
    with contextlib.closing(_looking(path)) as connection:
        check_sound(connection, path)
        check_network(connection, path, network)
        lost = missing(connection, path)
        if lost:
            raise LedgerUnusableError(_behind(path, last_sequence(connection), lost))


def _reading(path: Path) -> sqlite3.Connection:
    # A reader makes a -wal where there is none, and cannot on a disk mounted read-only: nobody writes there.
    still = not beside(path, "-wal").exists() and not os.access(path.parent, os.W_OK)
    return open_still(path) if still else open_reader(path)


def _looking(path: Path) -> sqlite3.Connection:
    companion = unapplied(path)
    if companion is None:
        return open_still(path)
    # A rollback journal left by a crash can be played back only by a connection that writes.
    return open_writer(path) if companion.name.endswith("-journal") else open_reader(path)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    before = connection.execute("PRAGMA user_version").fetchone()[0]
    if before < VERSION:
        _copy_aside(connection, path, before)
        _apply_migrations(connection)


def _apply_migrations(connection: sqlite3.Connection) -> None:
    # only here: sqlite-utils takes 5 MB, and most starts have nothing to apply
    import_module("watcher.ledger.schema").migrate(connection)


def _copy_aside(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """A migration can be undone only by a copy; it is made by SQLite itself, so it is of one moment."""
    copy = beside(path, f".v{version}")
    partial = beside(copy, ".partial")
    partial.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(partial),))
    publish(partial, copy)


_AFTER_DAMAGE: Final = (
    "keep the file, then `restore` the newest backup, and what has happened since is read from the chain "
    "again"
)
_INSTEAD: Final = (
    "if that cannot be, move {} away and `restore` the newest backup: what has happened since is read "
    "from the chain again"
)


def _corrupt(path: Path, what: str) -> str:
    return f"{path} is corrupt ({what}): nothing was changed; {_AFTER_DAMAGE}"


def _behind(path: Path, last: int, lost: int) -> str:
    return (
        f"{path} ends with event {last}, and {lost} more were told: its -wal was removed, or an older copy "
        "was put in its place. Nothing was changed. Put the newest file back, with its -wal; or `backup` "
        "this one and `restore` that: it begins a new log, and what is missing is read from the chain again"
    )


def _unusable(path: Path | str, what: str) -> str:
    return f"{path} cannot be used: {what}; see to its permissions, its mount and the free space there"
