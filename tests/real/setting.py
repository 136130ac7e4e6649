"""A daemon on the real stack: two treasuries, one Electrum server, one receiver."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.stack.daemon import Daemon
from tests.stack.processes import free_port, until
from tests.stack.receiver import SECRET, Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from tests.stack.regtest import Regtest

RULES = """
[[rules]]
name = "everything"
on = ["any", "chain", "watch"]
at = ["seen", "confirmed", "final"]
severity = "info"
send_to = ["ops"]
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """The parts of a test on the real stack."""

    regtest: Regtest
    daemon: Daemon
    receiver: Receiver
    treasuries: Mapping[str, Sequence[str]]

    async def caught_up(self, within: float = 180) -> None:
        """Until the daemon has our tip, nothing is left to read and all is fresh."""
        height = await self.regtest.node.rpc("getblockcount")
        await self.regtest.electrumx.wait_height(height)

        async def there() -> bool:
            if await self.daemon.metric("watcher_tip_height") != height:
                return False
            return (await self.daemon.get("/freshz")).status == 200

        await until(there, within=within, what=f"the daemon at block {height}")


def config(
    listen: str, electrum: str, receiver: str, treasuries: Mapping[str, Sequence[str]], rules: str = RULES
) -> str:
    """The config of such a daemon."""
    lists = "\n".join(
        f'[[treasuries]]\nname = "{name}"\ntitle = "{name}"\nattribution = "own"\ndust_sats = 0\n'
        + "\n".join(f'[[treasuries.watch]]\naddress = "{address}"' for address in addresses)
        for name, addresses in treasuries.items()
    )
    return f"""
network = "regtest"
state_directory = "state"
[http]
listen = "{listen}"
[quorum]
sources = 1
[timing]
reread = "2s"
stale_after = "60s"
dropped_after = "4s"
[[sources]]
name = "home"
kind = "electrum"
url = "{electrum}"
{lists}
{rules}
[[endpoints]]
name = "ops"
kind = "webhook"
url = "{receiver}"
secret_file = "ops.secret"
allow_private = true
"""


KINDS: Final = ("bech32", "p2sh-segwit", "legacy", "bech32m")


async def two_treasuries(regtest: Regtest) -> dict[str, list[str]]:
    """Fresh addresses of every kind for each."""
    return {name: [await regtest.chain.new_address(k) for k in KINDS] for name in ("alpha", "beta")}


@asynccontextmanager
async def setting(
    regtest: Regtest,
    directory: Path,
    *,
    treasuries: Mapping[str, Sequence[str]] | None = None,
    rules: str = RULES,
) -> AsyncIterator[Setting]:
    """Everything up and the first reading done."""
    treasuries = treasuries or await two_treasuries(regtest)
    async with Receiver() as receiver:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "ops.secret").write_text(SECRET)
        text = config(f"127.0.0.1:{free_port()}", regtest.electrumx.url, receiver.url, treasuries, rules)
        async with Daemon(text, directory) as daemon:
            here = Setting(regtest, daemon, receiver, treasuries)
            await here.caught_up()
            yield here
