"""A wallet is followed as far as it is used, and a little ahead, while its owner is paid and spends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import pytest
from embit.bip32 import HDKey
from embit.descriptor.checksum import add_checksum
from embit.networks import NETWORKS

from tests.real.checks import add_up
from tests.real.setting import config, setting
from tests.stack.processes import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.real.setting import Setting
    from tests.stack.regtest import Regtest

ADDRESSES: Final = 200
GAP: Final = 20
_TEST: Final = NETWORKS["test"]
_VPUB: Final = bytes.fromhex("045f1cf6")  # what a zpub is called on a test network (SLIP 132)

# The form of each wallet's descriptor and how its owner publishes it.
WALLETS: Final = {
    "wsh": ("wsh(sortedmulti(2,{0}/B/*,{1}/B/*,{2}/B/*))", "descriptor"),
    "taproot": ("tr({0}/B/*)", "descriptor"),
    "zpub": ("wpkh({0}/B/*)", "xpub"),
    "nested": ("sh(wpkh({0}/B/*))", "descriptor"),
}


class Owner:
    """Who holds the keys of a wallet: the node spends for them."""

    def __init__(self, regtest: Regtest, kind: str) -> None:
        self.regtest = regtest
        self.name = f"owner-{kind}"
        self.form, self.publishes = WALLETS[kind]
        chance = random.Random(kind)
        self.keys = [HDKey.from_seed(chance.randbytes(32), version=_TEST["xprv"]) for _ in range(3)]

    async def open(self) -> None:
        """A wallet of the node with the private keys; change goes to the second branch."""
        await self.regtest.node.rpc("createwallet", self.name, False, True, "", False, True)
        imported = [
            {
                "desc": self._descriptor(str(branch), private=True),
                "active": True,
                "internal": branch == 1,
                "range": [0, ADDRESSES + GAP],
                "timestamp": "now",
            }
            for branch in (0, 1)
        ]
        done = await self.regtest.node.rpc("importdescriptors", imported, wallet=self.name)
        assert all(each["success"] for each in done), done

    @property
    def watch(self) -> str:
        """The line that watches it."""
        if self.publishes == "xpub":
            return f'xpub = "{self.keys[0].to_public().to_base58(_VPUB)}"'
        return f'descriptor = "{self._descriptor("<0;1>")}"'

    async def addresses(self, branch: int) -> list[str]:
        """By the node."""
        public = self._descriptor(str(branch))
        found: list[str] = await self.regtest.node.rpc("deriveaddresses", public, [0, ADDRESSES])
        return found

    async def scanned(self) -> int:
        """What lies on both branches, by the node's own UTXO set, in satoshis."""
        wanted = [{"desc": self._descriptor(str(b)), "range": ADDRESSES + 2 * GAP} for b in (0, 1)]
        found = await self.regtest.node.rpc("scantxoutset", "start", wanted)
        return int(found["total_amount"] * 100_000_000)

    async def pay(self, to: str, sats: int) -> None:
        """Spend: what is left over comes back to the next address of the second branch."""
        amount = f"{sats / 100_000_000:.8f}"
        signed: dict[str, Any] = await self.regtest.node.rpc(
            "send", {to: amount}, None, "unset", 2, {"add_to_wallet": False}, wallet=self.name
        )
        await self.regtest.node.rpc("sendrawtransaction", signed["hex"])

    def _descriptor(self, branch: str, *, private: bool = False) -> str:
        keys = [key if private else key.to_public() for key in self.keys]
        texts = [key.to_base58(_TEST["xprv" if private else "xpub"]) for key in keys]
        text: str = add_checksum(self.form.replace("B", branch).format(*texts))
        return text


def with_gaps(start: int, end: int, seed: str) -> list[int]:
    """Indices from `start` to `end`, never more than the gap limit apart, and once exactly that."""
    chance = random.Random(seed)
    found = [start, start + GAP]
    while found[-1] < end:
        found.append(min(found[-1] + chance.randint(1, GAP), end))
    return found


async def confirmed(here: Setting, owner: Owner, *, what: str) -> None:
    """Until the balance is the node's."""
    total = await owner.scanned()

    async def is_so() -> bool:
        # before its first reading nothing is said of it
        return add_up(await here.daemon.events()).get("wallet") == (total, 0)

    await until(is_so, within=300, what=f"{what}: {total}")


async def follow(regtest: Regtest, folder: Path, kind: str, *, until_index: int) -> None:
    chain, owner = regtest.chain, Owner(regtest, kind)
    await owner.open()
    addresses = await owner.addresses(0)
    known = [0, GAP, GAP + 7]  # used before it is watched
    await fund(regtest, addresses, known)
    async with setting(regtest, folder / "daemon") as here:
        listen = here.daemon.url.removeprefix("http://")
        text = config(listen, regtest.electrumx.url, here.receiver.url, here.treasuries)
        wallet = f'name = "wallet"\ntitle = "wallet"\n[[treasuries.watch]]\n{owner.watch}\n'
        here.daemon.config = text.replace("[[rules]]", f"[[treasuries]]\n{wallet}[[rules]]", 1)
        # its own server: one that is not is asked slowly, and each gap is another question
        here.daemon.config = here.daemon.config.replace('"electrum"', '"electrum"\ntrusted = true', 1)
        await here.daemon.restart()
        await confirmed(here, owner, what="what it held already")
        await fund(regtest, addresses, with_gaps(known[-1], until_index, kind))
        await confirmed(here, owner, what="what came to the end of it")
        for sats in (5_000, 25_000):
            await owner.pay(await chain.stranger(), sats)
            await chain.mine()
        await confirmed(here, owner, what="what is left, with the change")
        used = (until_index + 1, 2)  # of the second branch two: the change of each payment

        async def is_ahead() -> bool:
            found = await here.daemon.metric("watcher_treasury_scripts", treasury="wallet")
            return found == sum(used) + 2 * GAP

        await until(is_ahead, within=120, what="a gap ahead of both branches")
        assert (await here.daemon.command("verify")).code == 0


async def fund(regtest: Regtest, addresses: Sequence[str], indices: Sequence[int]) -> None:
    for index in indices:
        await regtest.chain.fund(addresses[index], 10_000 + index)
    await regtest.chain.mine()


@pytest.mark.parametrize("kind", ["wsh", "taproot", "zpub"])
async def test_a_wallet_is_followed_through_its_addresses_with_gaps(
    shared_regtest: Regtest, tmp_path: Path, kind: str
) -> None:
    await follow(shared_regtest, tmp_path, kind, until_index=ADDRESSES)


@pytest.mark.fuzz
async def test_a_nested_wallet_is_followed_too(shared_regtest: Regtest, tmp_path: Path) -> None:
    await follow(shared_regtest, tmp_path, "nested", until_index=ADDRESSES)
