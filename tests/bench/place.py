"""What the rows on the real stack stand on: many scripts, payments to some, a daemon that watches all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.stack.chain import Draft
from tests.stack.daemon import Daemon
from tests.stack.processes import free_port, until
from tests.stack.receiver import SECRET
from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.transactions import parse_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stack.regtest import Regtest

PAID: Final = 99_000  # satoshis, of each payment
_COIN: Final = 100_000
_A_SPLIT: Final = 500  # outputs
_TICKS: Final = os.sysconf("SC_CLK_TCK")
ASKED_EVERY: Final = 0.2  # seconds: to be asked costs the daemon CPU that the bare client does not pay
QUIET_SECONDS: Final = 1.1
"""ElectrumX holds a notification back for a second after its last answer: both clients wait that long."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script nobody can spend from, as both clients know it."""

    scripthash: str
    address: str


def scripts(count: int, name: str) -> list[Script]:
    """So many, the same each time for a name."""
    found = []
    for number in range(count):
        script = b"\x00\x14" + hashlib.sha256(f"{name} {number}".encode()).digest()[:20]
        address = encode_address(script, Network.REGTEST)
        assert address is not None
        found.append(Script(scripthash(script), address))
    return found


async def payments(regtest: Regtest, to: Sequence[Script]) -> list[Draft]:
    """A signed payment to each, of a confirmed coin of its own; nobody has seen them yet."""
    chain = regtest.chain
    drafts: list[Draft] = []
    change = await chain.stranger()
    for at in range(0, len(to), _A_SPLIT):
        part = to[at : at + _A_SPLIT]
        whole = _COIN * (len(part) + 10)
        funded = await chain.fund(change, whole)
        outputs = await asyncio.gather(*(chain.stranger() for _ in part))
        coins = [coin for coin in await chain.coins(change) if coin.txid == funded]
        fan = await chain.draft(dict.fromkeys(outputs, _COIN), coins, change=change)
        await chain.mine_only([funded, await chain.send(fan)])
        drafts += await asyncio.gather(
            *(_pay(regtest, fan.txid, vout, one.address) for vout, one in enumerate(part))
        )
    await regtest.electrumx.synced()
    return drafts


async def _pay(regtest: Regtest, txid: str, vout: int, address: str) -> Draft:
    """The whole of a stranger's coin, less the fee, in two questions to the node (`draft` asks eight)."""
    outputs = {address: f"{PAID / 100_000_000:.8f}"}
    spent = [{"txid": txid, "vout": vout}]
    unsigned = await regtest.node.rpc("createrawtransaction", spent, outputs)
    signed = await regtest.node.rpc("signrawtransactionwithwallet", unsigned, wallet="stranger")
    raw: str = signed["hex"]
    return Draft(parse_transaction(bytes.fromhex(raw)).txid, raw)


class Watched:
    """A folder with a daemon's config over these scripts; each `daemon(state)` has a ledger of its own."""

    def __init__(
        self, folder: Path, electrum_url: str, watched: Sequence[Script], receiver: str | None = None
    ) -> None:
        self.folder = folder
        self._url = electrum_url
        self._receiver = receiver
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "list.csv").write_text("\n".join(["address", *(one.address for one in watched)]) + "\n")
        self.scripthashes = folder / "scripthashes"
        self.scripthashes.write_text("\n".join(one.scripthash for one in watched) + "\n")
        (folder / "ops.secret").write_text(SECRET)

    def ledger(self, state: str = "state") -> Path:
        """Its ledger's file."""
        return self.folder / state / "ledger.sqlite"

    def daemon(self, state: str = "state", *, reread: str = "1h") -> Daemon:
        """Not yet started."""
        told = "" if self._receiver is None else _ENDPOINT.format(url=self._receiver)
        listen = f"127.0.0.1:{free_port()}"
        return Daemon(
            _CONFIG.format(state=state, listen=listen, url=self._url, reread=reread) + told,
            self.folder,
            environment={"PYTHONDONTWRITEBYTECODE": ""},  # an installed program has its bytecode
        )


async def fresh(daemon: Daemon, *, within: float) -> None:
    """Until all is read."""

    async def is_fresh() -> bool:
        if not daemon.child.running:
            raise RuntimeError(f"the daemon ended\n{daemon.child.tail()}")
        try:
            return (await daemon.get("/freshz")).status == 200
        except OSError:
            return False

    await until(is_fresh, within=within, what="a fresh daemon", every=ASKED_EVERY)


def cpu_seconds(pid: int) -> float:
    """What the process and those of its children that have ended have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS


def resident_mb(pid: int) -> float:
    """Its memory, in millions of bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


_CONFIG: Final = """network = "regtest"
state_directory = "{state}"
[http]
listen = "{listen}"
[quorum]
sources = 1
[timing]
reread = "{reread}"
stale_after = "3h"
[[sources]]
name = "home"
kind = "electrum"
trusted = true
url = "{url}"
[[treasuries]]
name = "bench"
dust_sats = 0
[[treasuries.watch]]
addresses_file = "list.csv"
"""

_ENDPOINT: Final = """
[[rules]]
name = "everything"
on = ["any"]
at = ["seen"]
severity = "info"
send_to = ["ops"]
[[endpoints]]
name = "ops"
kind = "webhook"
url = "{url}"
secret_file = "ops.secret"
allow_private = true
"""
