"""What code in the service's sandbox can do: it runs there before the daemon and leaves its findings.

Each finding is "done" or the name of the error that stopped it. Standard library alone, but for the libraries
the daemon loads.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STATE = Path(os.environ["STATE_DIRECTORY"])
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000


def finding(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return "done"


def unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def setuid_program() -> None:
    """`su` needs its set-user-ID bit to become anybody."""
    subprocess.run(
        ["su", "-s", "/bin/true", "root"],
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
        timeout=60,
    )


def child(program: str) -> None:
    """A child process with its data in the state, as the second opinion on addresses has it."""
    data = {"BCL_DATA_DIR": str(STATE / "probe"), "HOME": "/nonexistent"}
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **data},
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
        timeout=300,
    )


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write state": lambda: (STATE / "probe.tmp").write_text("x"),
    "write runtime": lambda: (Path(os.environ["RUNTIME_DIRECTORY"]) / "probe.tmp").write_text("x"),
    "write config": lambda: Path("/etc/treasury-watcher/probe").write_text("x"),
    "write program": lambda: Path("/opt/treasury-watcher/probe").write_text("x"),
    "write where all may": lambda: Path("/var/open/probe").write_text("x"),
    "see home": lambda: list(Path("/home").iterdir()),
    "read secret file": Path("/etc/treasury-watcher/credentials/ops").read_text,
    "read credential": (Path(os.environ["CREDENTIALS_DIRECTORY"]) / "secret_ops").read_text,
    "see others' processes": lambda: Path("/proc/1/status").read_text(),
    "become root": lambda: os.setuid(0),
    "set-user-ID program": setuid_program,
    "user namespace": lambda: unshare(CLONE_NEWUSER),
    "mount namespace": lambda: unshare(CLONE_NEWNS),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "internet socket": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "kernel log": lambda: Path("/dev/kmsg").read_bytes(),
    "kernel setting": lambda: Path("/proc/sys/kernel/hostname").write_text("x"),
    "cgroup": lambda: Path("/sys/fs/cgroup/cgroup.procs").write_text("0"),
    "writable code": writable_code,
    "boot time": lambda: Path("/proc/stat").read_text(),
    "libraries": lambda: [
        importlib.import_module(name) for name in ("pydantic", "msgspec", "aiohttp", "embit")
    ],
    "child process": lambda: child("import sqlite3, ssl, ctypes, watcher.ledger.sqlite"),
    "second opinion": lambda: child("from bitcoinlib.keys import HDKey; HDKey(network='testnet').address()"),
    "limit of a child": lambda: child("import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 31, 1 << 31))"),
}

if __name__ == "__main__":
    findings = {name: finding(attempt) for name, attempt in ATTEMPTS.items()}
    (STATE / "probe.tmp").unlink(missing_ok=True)
    (STATE / "probe.json").write_text(json.dumps(findings))
