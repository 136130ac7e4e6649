"""What a power cut leaves of a directory, computed from the journal that `disk.c` writes.

Promised is what POSIX promises: a file's content as of its last fsync, a name as of its directory's last
fsync. Everything after that may be there, or not, or in part, each write for itself, torn at sectors.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from random import Random

SECTOR = 512
PAGE = 4096
VOLATILE = "-shm"  # SQLite keeps it in memory that a power cut empties, and rebuilds it
_RECORD = struct.Struct("<IIqq")
_CREATED, _TRUNCATED = 1, 2


class Kind(IntEnum):
    """What is done to a file; the numbers are those of disk.c."""

    OPEN = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    UNLINK = 5
    RENAME = 6


def build(into: Path) -> Path:
    """Compile disk.c; returns the library."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("a disk that forgets needs a C compiler")
    library = into / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return library


def fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE))


@dataclass(frozen=True, slots=True)
class _Write:
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Truncate:
    length: int


@dataclass
class _Inode:
    """A file: what is on the disk for sure, and what was done since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[_Write | _Truncate] = field(default_factory=list)

    def sync(self) -> None:
        for operation in self.since:
            _apply(self.synced, operation)
        self.since.clear()

    def after_a_cut(self, rng: Random) -> bytes:
        """One of the contents it can have; how the disk forgets is drawn, then each operation's fate."""
        content = bytearray(self.synced)
        keep = rng.choice([0.0, 0.5, 0.5, 0.9, 1.0])
        torn = rng.choice([0.0, 0.5, 1.0])
        for operation in self.since:
            if rng.random() >= keep:
                continue
            if isinstance(operation, _Write) and rng.random() < torn:
                _apply_torn(content, operation, rng)
            else:
                _apply(content, operation)
        return bytes(content)


def _apply(content: bytearray, operation: _Write | _Truncate, filler: bytes = b"\0") -> None:
    match operation:
        case _Write(offset, data):
            _grow(content, offset, filler)
            content[offset : offset + len(data)] = data
        case _Truncate(length):
            del content[length:]
            _grow(content, length, b"\0")


def _apply_torn(content: bytearray, write: _Write, rng: Random) -> None:
    """Each sector for itself; where the file grew over one that was not written, anything may stand."""
    start, end = write.offset, write.offset + len(write.data)
    filler = rng.choice([b"\0", rng.randbytes(1)])
    for sector in range(start // SECTOR, (end + SECTOR - 1) // SECTOR):
        if rng.random() < 0.5:
            low, high = max(start, sector * SECTOR), min(end, (sector + 1) * SECTOR)
            _apply(content, _Write(low, write.data[low - start : high - start]), filler)


def _grow(content: bytearray, length: int, filler: bytes) -> None:
    if len(content) < length:
        content += filler * (length - len(content))


Names = dict[Path, _Inode]


class Disk:
    """A directory as its process saw it, and as it is on the disk."""

    def __init__(self, directory: Path) -> None:
        self._live: Names = {p: _Inode(bytearray(p.read_bytes())) for p in directory.iterdir() if p.is_file()}
        self._synced: Names = dict(self._live)
        self._renamed: list[tuple[Path | None, Path | None, _Inode]] = []  # from, to: since the last sync
        self._open: dict[int, _Inode | None] = {}  # None: a directory

    def play(self, journal: bytes) -> int:
        """Carry out a journal; returns how many operations it has that a cut can come at."""
        count = at = 0
        while at + _RECORD.size <= len(journal):
            kind, file, offset, length = _RECORD.unpack_from(journal, at)
            at += _RECORD.size
            payload = journal[at : at + length]
            at += length
            count += kind != Kind.OPEN or offset > 0
            self._carry_out(Kind(kind), file, offset, payload)
        return count

    def _carry_out(self, kind: Kind, file: int, offset: int, payload: bytes) -> None:
        match kind:
            case Kind.OPEN:
                self._opened(file, Path(payload.decode()), offset)
            case Kind.WRITE:
                self._file(file).since.append(_Write(offset, payload))
            case Kind.TRUNCATE:
                self._file(file).since.append(_Truncate(offset))
            case Kind.SYNC:
                inode = self._open[file]
                if inode is None:
                    self._sync_names()
                else:
                    inode.sync()
            case Kind.UNLINK:
                path = Path(payload.decode())
                self._renamed.append((path, None, self._live.pop(path)))
            case Kind.RENAME:
                old, new = (Path(name.decode()) for name in payload.split(b"\0"))
                inode = self._live[new] = self._live.pop(old)
                self._renamed.append((old, new, inode))

    def _opened(self, file: int, path: Path, flags: int) -> None:
        if flags & _CREATED:
            self._live[path] = _Inode()
            self._renamed.append((None, path, self._live[path]))
        self._open[file] = self._live.get(path)
        if flags & _TRUNCATED:
            self._file(file).since.append(_Truncate(0))

    def _file(self, file: int) -> _Inode:
        inode = self._open[file]
        assert inode is not None
        return inode

    def _sync_names(self) -> None:
        self._synced = dict(self._live)
        self._renamed.clear()

    def cut(self, into: Path, rng: Random) -> None:
        """Write to the directory `into` one of the states that the disk can be found in."""
        names = dict(self._synced)
        keep = rng.choice([0.0, 0.5, 1.0])
        for old, new, inode in self._renamed:
            if rng.random() < keep:
                if old is not None:
                    names.pop(old, None)
                if new is not None:
                    names[new] = inode
        into.mkdir()
        for path, inode in names.items():
            if not path.name.endswith(VOLATILE):
                (into / path.name).write_bytes(inode.after_a_cut(rng))
