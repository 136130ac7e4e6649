"""A daemon on a toy server: its config, and a folder for it to live in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.stack.daemon import Daemon
from tests.stack.processes import free_port, until
from tests.stack.receiver import SECRET
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Of a witness version still to come: nobody can say how a spend of it would have to be signed, and so the
# toy chain need not sign.
ALPHA: Final = b"\x52\x20" + bytes(range(32))
BETA: Final = b"\x52\x20" + bytes(range(32, 64))


def address(script: bytes, network: Network = Network.REGTEST) -> str:
    """The address of a script."""
    found = encode_address(script, network)
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a config in it, and what is asked of the daemon or the commands there."""

    folder: Path
    sources: Mapping[str, str]
    receiver: str = "http://127.0.0.1:9"

    def config(self, *, listen: str | None = None, state: str = "state", extra: str = "") -> str:
        """Two treasuries, a rule that sends all to one endpoint, and these sources."""
        sources = "".join(
            f'\n[[sources]]\nname = "{name}"\nkind = "electrum"\nurl = "{url}"\n'
            for name, url in self.sources.items()
        )
        return f"""network = "regtest"
state_directory = "{state}"
[http]
listen = "{listen or f"127.0.0.1:{free_port()}"}"
[quorum]
sources = 1
[timing]
reread = "2s"
{sources}
[[treasuries]]
name = "alpha"
title = "The first"
[[treasuries.watch]]
address = "{address(ALPHA)}"
label = "main"

[[treasuries]]
name = "beta"
[[treasuries.watch]]
address = "{address(BETA)}"

[[rules]]
name = "everything"
on = ["any", "chain", "watch"]
send_to = ["ops"]

[[endpoints]]
name = "ops"
kind = "webhook"
url = "{self.receiver}"
secret_file = "ops.secret"
allow_private = true
{extra}"""

    def daemon(self, config: str | None = None, **environment: str) -> Daemon:
        """A daemon with this config, its secret beside it, not yet started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "ops.secret").write_text(SECRET)
        daemon = Daemon(config or self.config(), self.folder, environment=environment)
        daemon.write_config()
        return daemon


async def fresh(daemon: Daemon) -> None:
    """Until every treasury was read in full."""

    async def is_fresh() -> bool:
        return (await daemon.get("/freshz")).status == 200

    await until(is_fresh, within=60, what="a fresh daemon")


async def events_are(daemon: Daemon, count: int) -> None:
    """Until the log has at least so many."""

    async def there() -> bool:
        return len(await daemon.events()) >= count

    await until(there, within=60, what=f"{count} events")


async def log_has(daemon: Daemon, text: str) -> None:
    """Until the daemon's log has this."""

    async def has() -> bool:
        return text in daemon.child.log.read_text()

    await until(has, within=60, what=f"{text!r} in the log")
