"""Everything that runs in the demo, from an empty machine to a daemon that has read its treasuries once."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.stack import kept
from tests.stack.bitcoind import Node
from tests.stack.chain import Chain
from tests.stack.daemon import Daemon
from tests.stack.electrumx import ElectrumX
from tests.stack.player import FINALITY, KINDS, Stage
from tests.stack.processes import Child, free_port, until
from tests.stack.receiver import SECRET, Receiver

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

    from tests.stack.player import Treasuries
    from tests.stack.told import Screen

_ROOT: Final = Path(__file__).parents[2]
_SAY_EVERY: Final = 15.0
_TITLES: Final = {"alpha": "Alpha Foundation", "beta": "Beta Corporation"}
_LABELS: Final = {"bech32": "cold", "bech32m": "vault", "p2sh-segwit": "exchange", "legacy": "old wallet"}


class CastError(RuntimeError):
    """A part is missing or has ended; the message is one line."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The parts, running."""

    node: Node
    electrumx: ElectrumX
    daemon: Daemon
    stage: Stage

    async def watched(self) -> None:
        """Return never; `CastError` as soon as one of the processes has ended."""
        parts = {
            "bitcoind": self.node.child,
            "ElectrumX": self.electrumx.child,
            "the daemon": self.daemon.child,
        }
        ends = {name: asyncio.create_task(child.ended(within=1e7)) for name, child in parts.items()}
        try:
            await asyncio.wait(ends.values(), return_when=asyncio.FIRST_COMPLETED)
            for name, end in ends.items():
                if end.done():
                    raise CastError(f"{name} ended with {end.result()}: {_last_line(parts[name])}")
        finally:
            for end in ends.values():
                end.cancel()


async def assemble(stack: AsyncExitStack, scratch: Path, show: Screen) -> Cast:
    """Start all parts, in `scratch`; `stack` ends them, also those whose start did not come to its end."""
    await _fetch(scratch, show)
    show.say("starting bitcoind and ElectrumX on a private chain …")
    node = Node(scratch / "node")
    await _enter(stack, node)
    chain = await Chain.open(node)
    electrumx = ElectrumX(node, directory=scratch / "electrumx")
    await _enter(stack, electrumx)
    treasuries = {name: {kind: await chain.new_address(kind) for kind in KINDS} for name in _TITLES}
    receiver = Receiver()
    await _enter(stack, receiver)
    show.say("starting the daemon and its first reading …")
    directory = scratch / "daemon"
    directory.mkdir()
    (directory / "receiver.secret").write_text(SECRET)
    daemon = Daemon(config(free_port(), electrumx.url, receiver.url, treasuries), directory)
    await _enter(stack, daemon)

    async def fresh() -> bool:
        return (await daemon.get("/freshz")).status == 200

    await until(fresh, within=180, what="the daemon's first complete reading")
    return Cast(node, electrumx, daemon, Stage(chain, receiver, treasuries))


async def _enter(stack: AsyncExitStack, part: AbstractAsyncContextManager[Any]) -> None:
    stack.push_async_exit(part)  # before the start: whoever is interrupted in it has a process to end
    await part.__aenter__()


async def _fetch(scratch: Path, show: Screen) -> None:
    """Fill the cache, by a process that can be ended at any time, where a thread could not."""
    environment = {**os.environ, "PIP_NO_CACHE_DIR": "1"}  # nothing is left outside our own cache
    command = [sys.executable, "-m", "tests.stack.fetch"]
    fetching = Child(command, log=scratch / "fetch.log", env=environment, cwd=_ROOT)
    fetching.start()
    ending = asyncio.create_task(fetching.ended(within=3600))
    telling = asyncio.create_task(_tell_progress(show))
    try:
        if await ending != 0:
            raise CastError(_last_line(fetching))
    finally:
        ending.cancel()
        telling.cancel()
        fetching.kill()


async def _tell_progress(show: Screen) -> None:
    began = time.monotonic()
    await asyncio.sleep(1)  # with a warm cache there is nothing to tell
    show.say(f"fetching bitcoind and ElectrumX, once, into {kept.cache()} …")
    while True:
        await asyncio.sleep(_SAY_EVERY)
        show.say(f"still fetching after {time.monotonic() - began:.0f} s …")


def _last_line(child: Child) -> str:
    lines = child.tail().strip().splitlines()
    return lines[-1] if lines else "without a word"


def config(port: int, electrum: str, receiver: str, treasuries: Treasuries) -> str:
    """The daemon's config: two treasuries with an address of each kind, one source, one webhook."""
    watched = "\n".join(
        f'[[treasuries]]\nname = "{name}"\ntitle = "{_TITLES[name]}"\nattribution = "own"\n'
        + "".join(
            f'[[treasuries.watch]]\naddress = "{address}"\nlabel = "{_LABELS[kind]}"\n'
            for kind, address in addresses.items()
        )
        for name, addresses in treasuries.items()
    )
    return f"""\
network = "regtest"
state_directory = "state"
finality = {FINALITY}

[http]
listen = "127.0.0.1:{port}"

[quorum]
sources = 1

[timing]
reread = "5s"
stale_after = "60s"

[[sources]]
name = "home"
kind = "electrum"
url = "{electrum}"

{watched}
[[rules]]
name = "everything"
on = ["any", "chain", "watch", "source", "stale"]
at = ["seen", "confirmed", "final"]
severity = "info"
send_to = ["receiver"]

[[endpoints]]
name = "receiver"
kind = "webhook"
url = "{receiver}"
secret_file = "receiver.secret"
allow_private = true
"""
