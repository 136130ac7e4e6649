"""Copies of the ledger: made while it is written, proved before they are used, restored as a new log.

A backup is a directory of two files: `ledger.sqlite`, the ledger as of one moment, and `manifest.json`,
which is written last: without it there is no backup. No secret is in either: the ledger holds none.

A restored ledger is a new log, since events told after the backup had sequences that will be given again:
cursors of the old log are refused, and the events in the copy stay as they were told, their old log's id
included. Ids of `tx.*` events do not depend on the log; they are the same for the same story.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from watcher.core.instants import rfc3339
from watcher.ledger.files import beside, discard, publish, sync
from watcher.ledger.logs import begin_new_log
from watcher.ledger.mark import SUFFIX as MARK
from watcher.ledger.opening import (
    FILE,
    LedgerUnusableError,
    check_file,
    check_sound,
    into_one_file,
    path_in,
    refusals,
)
from watcher.ledger.queries import last_sequence, log_id
from watcher.ledger.seal import SUFFIX as SEAL
from watcher.ledger.sqlite import open_still, open_writer

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

MANIFEST: Final = "manifest.json"
_MANIFEST_BYTES: Final = 16_384
_CHUNK: Final = 1 << 20
_PARTIAL: Final = ".partial"
_NOTE: Final = ".backup"
# What may lie in a state directory that has no ledger: locks and sockets of daemons that were there, what
# is needed to reach their endpoints, and the end of a log that is no more.
_REMAINS: Final = frozenset(
    {
        *("lock", "control.sock", "endpoints"),
        *(FILE + suffix for suffix in (MARK, SEAL, _NOTE, _PARTIAL, "-shm")),
    }
)
_COPY_ASIDE: Final = f"{FILE}.v"


class OccupiedError(Exception):
    """Something lies where the backup or the restored ledger should go; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `sha256` and `bytes` are of its `ledger.sqlite`, `schema` is its version."""

    created: str
    program: str
    network: str
    schema: int
    log: str
    sequence: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Restored:
    """The new log, and what it was restored from."""

    log: str
    manifest: Manifest


def backup(source: sqlite3.Connection, to: Path, *, now_ms: int, program: str) -> Manifest:
    """Copy the ledger behind a reader's connection, written or not, into `to`, which is new or empty.

    OccupiedError where it is neither; LedgerUnusableError where nothing can be written.
    """
    with refusals(to):
        _claim(to)
        copy, partial = to / FILE, to / (FILE + _PARTIAL)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            # The file behind the connection was opened read-only; what is written here is another one.
            source.execute("PRAGMA query_only=OFF")
            source.execute("VACUUM INTO ?", (str(partial.resolve()),))
            source.execute("PRAGMA query_only=ON")
            manifest = _describe(partial, created=rfc3339(now_ms), program=program)
            publish(partial, copy)
        finally:
            partial.unlink(missing_ok=True)
        _write_manifest(to, manifest)
        sync(to.resolve().parent)
    return manifest


def note_backup(state: Path) -> None:
    """Note beside the ledger of `state` that it was backed up now."""
    beside(path_in(state), _NOTE).touch()


def last_backup(state: Path) -> float | None:
    """When the ledger of `state` was last backed up, in seconds since 1970 UTC; None for never."""
    try:
        return beside(path_in(state), _NOTE).stat().st_mtime
    except FileNotFoundError:
        return None


def restore(source: Path, state: Path) -> Restored:
    """Make the backup in `source` the ledger of `state`, which has none, as a new log.

    LedgerUnusableError where the backup is not what its manifest says.
    """
    check_vacant(state)
    manifest = read_manifest(source)
    ledger, partial = path_in(state), beside(path_in(state), _PARTIAL)
    with refusals(ledger):
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            _copy(source / FILE, partial, manifest.bytes)
            if _sha256(partial) != manifest.sha256:
                _refuse(source / FILE, "its SHA-256 is another one")
            if _describe(partial, created=manifest.created, program=manifest.program) != manifest:
                _refuse(source / FILE, "network, schema, log or last event are others")
            log = _as_new_log(partial)
            publish(partial, ledger)
        finally:
            discard(partial)
        sync(state.resolve().parent)
    return Restored(log, manifest)


def check_vacant(state: Path) -> None:
    """OccupiedError unless `state` is absent, empty, or holds only what a ledger moved away has left."""
    if not state.exists():
        return
    if not state.is_dir():
        raise OccupiedError(f"{state} is not a directory")
    for name in sorted(entry.name for entry in state.iterdir()):
        if name in {FILE, FILE + "-wal", FILE + "-journal"}:
            raise OccupiedError(
                f"{state} holds a ledger: move {name} away first, a restore overwrites nothing"
            )
        if name not in _REMAINS and not name.startswith(_COPY_ASIDE):
            raise OccupiedError(f"{state} is not empty ({name}): a restore goes into a directory of its own")


def read_manifest(source: Path) -> Manifest:
    """The manifest of the backup in `source`."""
    path = source / MANIFEST
    try:
        with path.open("rb") as file:
            raw = file.read(_MANIFEST_BYTES + 1)
        if len(raw) > _MANIFEST_BYTES:
            raise LedgerUnusableError(f"{path} is longer than a manifest")
        return msgspec.json.decode(raw, type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerUnusableError(f"no backup at {source}: it has no {MANIFEST}") from None
    except OSError as error:
        raise LedgerUnusableError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise LedgerUnusableError(f"{path} is no manifest: {error}") from error


def _claim(to: Path) -> None:
    """Make the directory; what an interrupted backup left in it is removed, all else is in the way."""
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise OccupiedError(f"{to} is not a directory") from None
    partial = {name + _PARTIAL for name in (FILE, MANIFEST)}
    present = {entry.name for entry in to.iterdir()}
    if present - partial:
        raise OccupiedError(f"{to} is not empty: a backup overwrites nothing; name a directory that is new")
    for name in present:
        (to / name).unlink()


def _describe(path: Path, *, created: str, program: str) -> Manifest:
    """The manifest of a copy that nobody writes, which is checked whole."""
    check_file(path)
    with contextlib.closing(open_still(path)) as connection:
        check_sound(connection, path)
        # unlike the quick check at each opening, this compares every index with its table
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            _refuse(path, f"it is corrupt: {verdict}")
        return Manifest(
            created=created,
            program=program,
            network=connection.execute("SELECT value FROM meta WHERE key = 'network'").fetchone()[0],
            schema=connection.execute("PRAGMA user_version").fetchone()[0],
            log=log_id(connection),
            sequence=last_sequence(connection),
            bytes=path.stat().st_size,
            sha256=_sha256(path),
        )


def _write_manifest(to: Path, manifest: Manifest) -> None:
    partial = to / (MANIFEST + _PARTIAL)
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    publish(partial, to / MANIFEST)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, to: Path, size: int) -> None:
    discard(to)
    check_file(source)
    if source.stat().st_size != size:
        _refuse(source, f"it is not {size} bytes long")
    descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
        shutil.copyfileobj(reading, writing, _CHUNK)


def _as_new_log(path: Path) -> str:
    with contextlib.closing(open_writer(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        log = begin_new_log(connection)
        connection.execute("COMMIT")
        into_one_file(connection)
    return log


def _refuse(path: Path, why: str) -> NoReturn:
    raise LedgerUnusableError(
        f"{path} is not what its manifest says ({why}): it was damaged or changed; take another backup"
    )
