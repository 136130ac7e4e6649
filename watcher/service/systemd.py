"""systemd's notification protocol (sd_notify(3)): datagrams of lines to the socket it named."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_STATUS: Final = 200


class Systemd:
    """The service manager, as far as `environ` says that there is one; otherwise every call does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # a leading @ stands for the NUL byte of Linux's abstract names
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_seconds = _watchdog(environ)

    def ready(self) -> None:
        """Started, or done with a reload."""
        self._notify("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._notify(f"STATUS={' '.join(text.split())[:_MAX_STATUS]}")

    def watchdog(self) -> None:
        """Still making progress."""
        self._notify("WATCHDOG=1")

    def reloading(self, monotonic: float) -> None:
        """A reload begins; `ready` ends it. `monotonic` is CLOCK_MONOTONIC in seconds."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * 1_000_000)}")

    def stopping(self) -> None:
        """On the way down."""
        self._notify("STOPPING=1")

    def _notify(self, lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.connect(self._address)
                sender.send(lines.encode("utf-8", "replace"))
            except OSError:
                # a manager that is gone or does not read must not stop the watching; its watchdog decides
                return


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """How often systemd wants a sign of life, in seconds; None: it does not, or not from this process."""
    interval, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not interval.isdigit() or pid not in {"", str(os.getpid())}:
        return None
    return int(interval) / 1_000_000
