"""The service manager is told the truth, on a path and on an abstract name, and may be absent."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from watcher.service.systemd import Systemd

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("form", ["path", "abstract"])
def test_each_state_is_one_datagram(tmp_path: Path, form: str) -> None:
    name = str(tmp_path / "notify") if form == "path" else f"@watcher-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(60)
        systemd = Systemd({"NOTIFY_SOCKET": name})
        systemd.ready()
        systemd.status("watching\n12 scripts" + "x" * 1_000)
        systemd.watchdog()
        systemd.reloading(12.5)
        systemd.stopping()
        told = [manager.recv(4_096).decode() for _ in range(5)]
    assert told[0] == "READY=1"
    assert told[1].startswith("STATUS=watching 12 scripts")
    assert "\n" not in told[1]
    assert len(told[1]) < 300
    assert told[2:] == ["WATCHDOG=1", "RELOADING=1\nMONOTONIC_USEC=12500000", "STOPPING=1"]


def test_without_a_manager_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    Systemd({}).ready()
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(10_000):
            systemd.watchdog()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_as_systemd_says(environ: dict[str, str], seconds: float | None) -> None:
    assert Systemd(environ).watchdog_seconds == seconds
