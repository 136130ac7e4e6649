"""A wallet is used as far as an address of another treasury: told, shown, and counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from embit.bip32 import HDKey
from embit.networks import NETWORKS

from tests.daemon.places import BETA, Place, address, fresh
from tests.stack.processes import until
from watcher.bitcoin.networks import Network
from watcher.bitcoin.wallets import parse_wallet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

_TEST: Final = NETWORKS["test"]
_KEY: Final = HDKey.from_seed(bytes(32), version=_TEST["xprv"]).to_public().to_base58(_TEST["xpub"])
DESCRIPTOR: Final = f"wpkh({_KEY}/0/*)"
WALLET: Final = parse_wallet(DESCRIPTOR, Network.REGTEST)


def config(place: Place, beta: bytes, *, listen: str | None = None) -> str:
    """Alpha is a wallet that is watched three ahead, beta one script."""
    text = place.config(listen=listen)
    head, _, rest = text.partition("[[treasuries]]")
    _, _, rules = rest.partition("[[rules]]")
    return f"""{head}[[treasuries]]
name = "alpha"
gap_limit = 3
[[treasuries.watch]]
descriptor = "{DESCRIPTOR}"

[[treasuries]]
name = "beta"
[[treasuries.watch]]
address = "{address(beta)}"

[[rules]]{rules}"""


async def told(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """The beginnings and ends, as soon as there are so many."""

    async def there() -> list[dict[str, Any]]:
        ours = {"watch.collided", "watch.separated"}
        found = [event for event in await daemon.events() if event["type"] in ours]
        return found if len(found) >= count else []

    return await until(there, within=60, what=f"{count} of them")


async def active_is(daemon: Daemon, value: float) -> None:
    async def is_so() -> bool:
        found = await daemon.metric("watcher_condition_active", condition="collision", treasury="alpha")
        return found == value

    await until(is_so, within=60, what=f"the condition to be {value}")


async def confirmed(daemon: Daemon, treasury: str, sats: int) -> None:
    async def is_so() -> bool:
        found = await daemon.metric(
            "watcher_treasury_balance_satoshis", treasury=treasury, position="confirmed"
        )
        return found == sats

    await until(is_so, within=60, what=f"{treasury} to hold {sats}")


async def test_a_script_that_two_treasuries_reach_is_told_once_and_counted_once(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    shared = WALLET.script(0, 4)  # the window of an unused wallet ends before it
    async with place.daemon(config(place, shared)) as daemon:
        await fresh(daemon)
        await active_is(daemon, 0)
        toy.chain.pay(WALLET.script(0, 2), 10_000)
        toy.chain.pay(shared, 700)
        toy.chain.mine()
        (begun,) = await told(daemon, 1)
        assert begun["type"] == "watch.collided"
        assert (begun["data"]["treasury"], begun["data"]["other"]) == ("alpha", "beta")
        assert begun["data"]["condition"] == "collision"
        await active_is(daemon, 1)
        await confirmed(daemon, "alpha", 10_000)
        await confirmed(daemon, "beta", 700)

        await daemon.restart()
        await active_is(daemon, 1)
        toy.chain.pay(WALLET.script(0, 3), 5_000)  # the window goes on behind what collides
        toy.chain.pay(WALLET.script(0, 6), 5_000)
        toy.chain.mine()
        await confirmed(daemon, "alpha", 20_000)
        assert len(await told(daemon, 1)) == 1

        daemon.config = config(place, BETA, listen=daemon.url.removeprefix("http://"))
        daemon.write_config()
        assert (await daemon.command("reload")).code == 0
        _, ended = await told(daemon, 2)
        assert (ended["type"], ended["data"]["other"]) == ("watch.separated", "beta")
        assert ended["data"]["incident"] == begun["data"]["incident"]
        await active_is(daemon, 0)
        await confirmed(daemon, "alpha", 20_700)
        await confirmed(daemon, "beta", 0)
        assert (await daemon.command("verify")).code == 0
