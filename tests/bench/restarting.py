"""A restart after years: from exec to the first `/metrics`, on a ledger with a long past."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.large import TREASURY, large
from tests.bench.place import cpu_seconds, resident_mb
from tests.bench.result import Row, median
from tests.stack.daemon import Daemon
from tests.stack.processes import free_port, until
from tests.stack.receiver import SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Restart:
    """Seconds from exec to `/metrics`, seconds of CPU until then, millions of bytes."""

    seconds: float
    cpu: float
    resident: float


async def restarting(folder: Path, *, scripts: int, payments: int, repeats: int) -> Row:
    """Restarts of a daemon that ended in order; no source answers, so that nothing else is measured.

    The reference is the same daemon with one address and no past. Beside: the start after it was killed,
    which reads the whole ledger first.
    """
    made = large(folder / "long" / "state", scripts=scripts, payments=payments)
    small = large(folder / "short" / "state", scripts=1, payments=0)
    long, short = _daemon(folder / "long", made.addresses), _daemon(folder / "short", small.addresses)
    # the very first start is no restart
    for daemon in (long, short):
        await _restart(daemon)
    await _restart(long, kill=True)
    after_a_crash = await _restart(long)
    pairs = [(await _restart(long), await _restart(short)) for _ in range(repeats)]
    return Row(
        name=f"restart to /metrics, {made.rows:,} rows and {scripts:,} scripts",
        unit="s",
        more_is_better=False,
        ours=tuple(ours.seconds for ours, _ in pairs),
        reference="the same with an empty ledger",
        theirs=tuple(theirs.seconds for _, theirs in pairs),
        beside={
            "after a crash, s": after_a_crash.seconds,
            "CPU s after a crash": after_a_crash.cpu,
            "CPU s": median([ours.cpu for ours, _ in pairs]),
            "MB": median([ours.resident for ours, _ in pairs]),
        },
    )


async def _restart(daemon: Daemon, *, kill: bool = False) -> _Restart:
    began = time.monotonic()
    daemon.child.start()
    try:
        await until(lambda: _scraped(daemon), within=120, what="/metrics")
        found = _Restart(
            time.monotonic() - began, cpu_seconds(daemon.child.pid), resident_mb(daemon.child.pid)
        )
        if not kill and await daemon.terminate() != 0:
            raise RuntimeError(daemon.child.tail())
    finally:
        daemon.kill()
    return found


async def _scraped(daemon: Daemon) -> bool:
    try:
        return (await daemon.get("/metrics")).status == 200
    except (OSError, http.client.HTTPException):
        if not daemon.child.running:
            raise RuntimeError(daemon.child.tail()) from None
        return False


def _daemon(folder: Path, addresses: Sequence[str]) -> Daemon:
    (folder / "list.csv").write_text("\n".join(["address", *addresses]) + "\n")
    (folder / "ops.secret").write_text(SECRET)
    daemon = Daemon(_CONFIG.format(listen=f"127.0.0.1:{free_port()}"), folder)
    daemon.write_config()
    return daemon


_CONFIG: Final = f"""network = "regtest"
state_directory = "state"
[http]
listen = "{{listen}}"
[quorum]
sources = 1
[[sources]]
name = "away"
kind = "electrum"
url = "tcp://127.0.0.1:9"
[[treasuries]]
name = "{TREASURY}"
[[treasuries.watch]]
addresses_file = "list.csv"
[[rules]]
name = "everything"
on = ["inflow"]
at = ["confirmed"]
severity = "info"
send_to = ["ops"]
[[endpoints]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:9"
secret_file = "ops.secret"
allow_private = true
"""
