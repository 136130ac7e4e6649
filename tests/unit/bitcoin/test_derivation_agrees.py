"""Our scripts against a Bitcoin node's: random descriptors, derived by both."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from embit.bip32 import HDKey
from embit.descriptor.checksum import add_checksum
from embit.networks import NETWORKS

from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.bitcoin.wallets import parse_wallet

if TYPE_CHECKING:
    from tests.stack.bitcoind import Node


class _Descriptors:
    """Descriptors at random: every form that has addresses, keys with and without origins and paths."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        version = NETWORKS["test"]["xprv"]
        self.roots = [HDKey.from_seed(self.chance.randbytes(32), version=version) for _ in range(40)]
        self.branches = 0

    def text(self) -> str:
        self.branches = self.chance.choice((0, 0, 2, 3))
        form = self.chance.choice(
            ("pkh(K)", "wpkh(K)", "sh(wpkh(K))", "sh(pk(K))", "sh(pkh(K))", "wsh(pk(K))", "sh(wsh(pkh(K)))")
            + ("sh(M)", "wsh(M)", "sh(wsh(M))") * 2
            + ("tr(X)", "tr(X,T)") * 2
        )
        made = "".join(self._part(part) for part in form)
        return add_checksum(made)

    def _part(self, part: str) -> str:
        match part:
            case "K":
                return self._key()
            case "X":
                return self._key(x_only=True)
            case "M":
                return self._multi(self.chance.choice(("multi", "sortedmulti")), most=15)
            case "T":
                return self._tree(depth=0)
            case _:
                return part

    def _multi(self, name: str, *, most: int, x_only: bool = False) -> str:
        keys = [self._key(x_only=x_only) for _ in range(self.chance.randint(1, most))]
        return f"{name}({self.chance.randint(1, len(keys))},{','.join(keys)})"

    def _tree(self, depth: int) -> str:
        if depth < 4 and self.chance.random() < 0.5:
            return f"{{{self._tree(depth + 1)},{self._tree(depth + 1)}}}"
        if self.chance.random() < 0.5:
            return f"pk({self._key(x_only=True)})"
        return self._multi(self.chance.choice(("multi_a", "sortedmulti_a")), most=20, x_only=True)

    def _key(self, *, x_only: bool = False) -> str:
        key = self.chance.choice(self.roots)
        origin = ""
        if self.chance.random() < 0.5:
            path = [self.chance.choice((48, 84, 86)), self.chance.randrange(2), self.chance.randrange(2**31)]
            mark = self.chance.choice("'h")
            origin = f"[{key.my_fingerprint.hex()}/{'/'.join(f'{step}{mark}' for step in path)}]"
            key = key.derive([2**31 + step for step in path])
        public = key.to_public()
        if self.chance.random() < 0.15:
            plain = public.key.xonly() if x_only and self.chance.random() < 0.5 else public.sec()
            return f"{origin}{plain.hex()}"
        return f"{origin}{public.to_base58(NETWORKS['test']['xpub'])}{self._path()}"

    def _path(self) -> str:
        steps = [str(self.chance.choice((0, 1, 7, 2**31 - 1))) for _ in range(self.chance.randrange(3))]
        if self.branches and self.chance.random() < 0.8:
            numbers = self.chance.sample(range(10), self.branches)
            steps.insert(self.chance.randint(0, len(steps)), f"<{';'.join(map(str, numbers))}>")
        if self.chance.random() < 0.7:
            steps.append("*")
        return "".join(f"/{step}" for step in steps)


async def _agrees(node: Node, text: str, first: int) -> None:
    wallet = parse_wallet(text, Network.REGTEST)
    if wallet.is_ranged:
        theirs = await node.rpc("deriveaddresses", text, [first, first + 2])
    else:
        theirs, first = await node.rpc("deriveaddresses", text), 0
    if wallet.branches == 1:
        theirs = [theirs]
    for branch, addresses in enumerate(theirs):
        ours = [
            encode_address(wallet.script(branch, first + offset), Network.REGTEST)
            for offset in range(len(addresses))
        ]
        assert ours == addresses, text
    assert len(theirs) == wallet.branches
    assert parse_wallet(wallet.descriptor, Network.REGTEST) == wallet


async def test_two_hundred_random_descriptors_give_the_nodes_addresses(node: Node) -> None:
    descriptors = _Descriptors(seed=6)
    for _ in range(200):
        await _agrees(node, descriptors.text(), descriptors.chance.choice((0, 19, 2**31 - 3)))


@pytest.mark.fuzz
async def test_ten_thousand_random_descriptors_give_the_nodes_addresses(node: Node) -> None:
    descriptors = _Descriptors(seed=20_261_124)
    for _ in range(10_000):
        await _agrees(node, descriptors.text(), descriptors.chance.choice((0, 19, 2**31 - 3)))
