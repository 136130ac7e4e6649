"""Sockets in the file system: where the control socket is, and paths too long for an address.

A Unix address holds 107 bytes; a state directory may be deeper than that. The directory is then opened
and the socket named through it, which Linux resolves to the same file.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONTROL_NAME: Final = "control.sock"
_MODE: Final = 0o660  # CONTRACT: the owner and the group operate the daemon
_MAX_ADDRESS: Final = 107


def control_path(state_directory: Path, environ: Mapping[str, str]) -> Path:
    """Where the daemon listens: the runtime directory systemd made for it, else the state directory."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return (state_directory.__class__(runtime) if runtime else state_directory) / CONTROL_NAME


def listen_unix(path: Path) -> socket.socket:
    """A listening socket at `path`, for owner and group; what lies there from a dead daemon is replaced.

    Only the holder of the state's lock calls this, so nobody alive can be displaced.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(path) as address:
            listener.bind(address)
            # before listen() nobody can connect, so there is no moment with another mode
            path.chmod(_MODE)
            listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def forget(path: Path) -> None:
    """Take the socket's name away, so that commands need not try it."""
    path.unlink(missing_ok=True)


def connect_unix(path: Path, timeout: float) -> socket.socket:
    """A connection to the daemon at `path`; OSError where none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _address(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= _MAX_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
