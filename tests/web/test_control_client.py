"""The control socket from the command line's side: the whole API, for the owner and the group, no token."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from watcher.web.access import Guarded
from watcher.web.client import Daemon, DaemonError, find_daemon
from watcher.web.server import serving
from watcher.web.sockets import control_path, listen_unix

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

LOCKED = Guarded(read_token="r" * 20, admin_token="a" * 20)


async def test_the_owner_reads_and_writes_without_a_token(serve: Open, ledger: SmallLedger) -> None:
    async with serve(LOCKED) as bound:
        daemon = await asyncio.to_thread(find_daemon, ledger.state, {})
        assert daemon == Daemon(bound.control)
        assert stat.S_IMODE(bound.control.stat().st_mode) == 0o660
        status = await asyncio.to_thread(daemon.get, "/api/v1/status")
        assert status.json()["state_directory"] == str(ledger.state.resolve())
        page = await asyncio.to_thread(daemon.get, "/api/v1/events", {"limit": 1})
        assert len(page.json()["events"]) == 1
        reply = await asyncio.to_thread(daemon.post, "/api/v1/deliveries/3/redeliver", {})
        assert (reply.status, reply.content_type.split(";")[0]) == (202, "application/json")
        path = "/api/v1/treasuries/alpha/history"
        text = await asyncio.to_thread(lambda: b"".join(daemon.stream(path, {"format": "csv"})))
        assert text.count(b"\r\n") == 6
        with pytest.raises(DaemonError, match="no treasury of this name"):
            await asyncio.to_thread(lambda: list(daemon.stream("/api/v1/treasuries/x/history")))
    assert not bound.control.exists()


async def test_no_daemon_is_found_where_none_runs_or_another_does(
    serve: Open, ledger: SmallLedger, tmp_path: Path
) -> None:
    assert find_daemon(tmp_path / "nowhere", {}) is None
    (tmp_path / "stale").mkdir()
    listen_unix(tmp_path / "stale" / "control.sock").close()
    assert find_daemon(tmp_path / "stale", {}) is None
    async with serve() as bound:
        elsewhere = {"RUNTIME_DIRECTORY": str(bound.control.parent)}
        assert await asyncio.to_thread(find_daemon, tmp_path / "stale", elsewhere) is None
        assert await asyncio.to_thread(find_daemon, ledger.state, elsewhere) is not None


async def test_a_socket_of_a_dead_daemon_is_replaced_and_a_long_path_is_no_obstacle(
    daemon: StillDaemon, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    control = control_path(deep, {})
    listen_unix(control).close()
    for _ in range(2):
        async with serving(
            daemon, listen="127.0.0.1:0", door=LOCKED, control=control, monotonic=time.monotonic
        ):
            reply = await asyncio.to_thread(Daemon(control).get, "/healthz")
            assert reply.status == 200


async def test_systemds_runtime_directory_holds_the_socket(tmp_path: Path) -> None:
    runtime = {"RUNTIME_DIRECTORY": f"{tmp_path}:/somewhere/else"}
    assert control_path(tmp_path / "state", runtime) == tmp_path / "control.sock"
    assert control_path(tmp_path / "state", {}) == tmp_path / "state" / "control.sock"


async def test_an_address_in_use_is_an_error_that_leaves_nothing_behind(serve: Open, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match="in use"):
            async with serve(listen=listen):
                pytest.fail("not reached")
    assert not (tmp_path / "control.sock").exists()


async def test_the_guarded_door_can_be_a_unix_socket_and_stays_guarded(serve: Open, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    async with serve(Guarded(read_token="r" * 20), f"unix:{path}") as bound:
        assert bound.url is None
        reply = await asyncio.to_thread(Daemon(path).get, "/api/v1/status")
        assert reply.status == 401


async def test_a_listener_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with listen_unix(tmp_path / "control.sock") as silent:
        silent.settimeout(60)

        def garbage() -> None:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1000)
                with suppress(ConnectionError):  # it may have given us up before we come to it
                    connection.sendall(b"\xff\xfe not http\r\n\r\n")

        answering = asyncio.create_task(asyncio.to_thread(garbage))
        assert await asyncio.to_thread(find_daemon, tmp_path, {}) is None
        await answering
