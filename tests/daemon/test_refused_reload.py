"""A reload that is refused takes nothing, and one that comes too early ends nothing."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from tests.daemon.places import Place, address, fresh, log_has
from tests.stack.processes import until
from tests.stack.receiver import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.electrum import ToyElectrum

GAMMA: Final = f"""
[[treasuries]]
name = "gamma"
[[treasuries.watch]]
address = "{address(bytes((0x52, 0x20, *range(64, 96))))}"
"""
MORE: Final = f"""{GAMMA}
[[endpoints]]
name = "two"
kind = "webhook"
url_file = "two.url"
secret_file = "two.secret"

[heartbeat]
url_file = "up.url"
"""
WRONG: Final = "hunter2-is-no-signing-secret"


async def test_a_reload_with_secrets_that_cannot_be_used_names_them_all_and_takes_nothing(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    daemon = Place(tmp_path, {"home": toy.url}).daemon()
    async with daemon:
        await fresh(daemon)
        daemon.config += MORE
        daemon.write_config()
        (tmp_path / "two.url").write_text("https://hooks..example/T0K3N")
        (tmp_path / "two.secret").write_text(WRONG)
        refused = await daemon.command("reload")
        lines = daemon.config.splitlines()
        said = {
            "two.url": "endpoints[1].url_file: the URL has a host with an empty part",
            "two.secret": 'endpoints[1].secret_file: a signing secret begins with "whsec_"',
            "up.url": f"heartbeat.url_file: {tmp_path}/up.url: No such file or directory",
        }
        assert (refused.code, refused.out) == (2, "")
        for line, (file, words) in zip(refused.err.splitlines(), said.items(), strict=True):
            number = next(n for n, text in enumerate(lines, 1) if f'"{file}"' in text)
            assert line.removeprefix("watcher: ").startswith(f"{daemon.path}:{number}: {words}")
        assert WRONG not in refused.err
        assert "T0K3N" not in refused.err
        names = [each["name"] for each in (await daemon.read("/api/v1/treasuries")).json()["treasuries"]]
        assert names == ["alpha", "beta"]
        assert await daemon.metric("watcher_config_last_reload_successful") == 0
        (tmp_path / "two.url").write_text("https://hooks.example/T0K3N")
        (tmp_path / "two.secret").write_text(SECRET)
        (tmp_path / "up.url").write_text("http://127.0.0.1:9/up")
        assert (await daemon.command("reload")).code == 0
        names = [each["name"] for each in (await daemon.read("/api/v1/treasuries")).json()["treasuries"]]
        assert names == ["alpha", "beta", "gamma"]


async def test_a_hangup_during_the_start_reloads_once_it_is_through(toy: ToyElectrum, tmp_path: Path) -> None:
    daemon = Place(tmp_path, {"home": toy.url}).daemon()
    daemon.path.unlink()
    os.mkfifo(daemon.path)  # from which the start cannot go on before we let it

    async def reads() -> int | None:
        try:
            return os.open(daemon.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody has opened it yet
                raise
            return None

    async with AsyncExitStack() as stack:
        stack.callback(daemon.kill)
        daemon.child.start()
        with os.fdopen(await until(reads, within=120, what="the config is read"), "w") as config:
            config.write(daemon.config)
            daemon.path.unlink()
            daemon.path.write_text(daemon.config + GAMMA)
            daemon.child.signal(signal.SIGHUP)
        await daemon.child.ready(daemon.ready, within=180)
        await log_has(daemon, "the config is reloaded")
        names = [each["name"] for each in (await daemon.read("/api/v1/treasuries")).json()["treasuries"]]
        assert names == ["alpha", "beta", "gamma"]
