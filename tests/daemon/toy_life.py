"""Random things that happen to treasuries on a toy chain, and the naive recomputation that judges a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.toy.chain import FEE
from tests.toy.coding import Tx, scripthash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from random import Random

    from tests.toy.chain import ToyChain
    from watcher.bitcoin.types import Outpoint, Txid

STRANGER = b"\x00\x14" + b"\x5a" * 20
SMALLEST = 3_000


@dataclass(frozen=True, slots=True)
class ToyLife:
    """Takes one random step at a time; what is impossible just then is no step."""

    chain: ToyChain
    treasuries: Mapping[str, Sequence[bytes]]
    rng: Random

    @property
    def ours(self) -> list[bytes]:
        """Every watched script."""
        return [script for scripts in self.treasuries.values() for script in scripts]

    def step(self) -> None:
        """One random step."""
        verbs = [
            (self.pay, 5), (self.spend, 4), (self.replace, 3), (self.drop, 1), (self.mine, 5),
            (self.reorganize, 2), (self.double_spend, 1),
        ]  # fmt: skip
        self.rng.choices([verb for verb, _ in verbs], [weight for _, weight in verbs])[0]()

    def pay(self) -> None:
        self.chain.pay(self._one_of_ours(), self.rng.randint(20_000, 2_000_000))

    def spend(self) -> None:
        """Some of our coins, unconfirmed ones too, to anybody, with change to ourselves."""
        coins = [coin for script in self.ours for coin in self.chain.unspent(script)]
        chosen = self.rng.sample(coins, min(len(coins), self.rng.choice([1, 1, 2, 3])))
        total = self._worth(chosen)
        if total > 10 * SMALLEST:
            part = self.rng.randint(SMALLEST, total // 2)
            self.chain.spend(chosen, [(self._anyone(), part), (self._one_of_ours(), total - part - FEE)])

    def replace(self) -> None:
        if self.chain.mempool:
            victim = self.rng.choice(list(self.chain.mempool))
            coins = self.chain.transactions[victim].inputs
            self.chain.replace(victim, [(self._anyone(), self._worth(coins) - FEE)])

    def drop(self) -> None:
        if self.chain.mempool:
            self.chain.drop(self.rng.choice(list(self.chain.mempool)))

    def mine(self) -> None:
        """A block or two; the first with some of the mempool."""
        share = self.rng.choice([0.5, 1.0, 1.0])
        self.chain.mine(self.rng.choice([1, 1, 2]), self._with_parents(self.chain.mempool, share))

    def reorganize(self) -> None:
        """A longer branch that keeps some of what was mined; the rest waits."""
        depth = self.rng.choice([1, 1, 1, 2, 2, 3, 6])
        self.chain.reorg(depth, self._with_parents(self._mined(depth), self.rng.random()))

    def double_spend(self) -> None:
        """A longer branch, in which a transaction of the old one has lost its coins to another."""
        depth = self.rng.choice([1, 2, 6])
        mined = self._mined(depth)
        if mined:
            victim = self.rng.randrange(len(mined))
            coins = self.chain.transactions[mined[victim]].inputs
            rival = Tx(coins, ((self._anyone(), self._worth(coins) - 2 * FEE),))
            # what stands before it in the chain holds all its parents
            self.chain.reorg(depth, [*mined[:victim], self.chain.know(rival)])

    def _mined(self, depth: int) -> list[Txid]:
        return [txid for block in self.chain.blocks[-depth:] for txid in block.txids[1:]]

    def _with_parents(self, txids: Iterable[Txid], share: float) -> list[Txid]:
        """About this share of them, none without its parents; they come parents first."""
        left_out: set[Txid] = set()
        chosen = []
        for txid in txids:
            parents = {coin.txid for coin in self.chain.transactions[txid].inputs}
            if parents & left_out or self.rng.random() > share:
                left_out.add(txid)
            else:
                chosen.append(txid)
        return chosen

    def _worth(self, coins: Iterable[Outpoint]) -> int:
        return sum(self.chain.output(coin)[1] for coin in coins)

    def _one_of_ours(self) -> bytes:
        return self.rng.choice(self.ours)

    def _anyone(self) -> bytes:
        return self.rng.choice([*self.ours, STRANGER, STRANGER])


def balance(chain: ToyChain, scripts: Sequence[bytes]) -> tuple[int, int]:
    """(confirmed, pending) of these scripts, recomputed from all that is on them."""
    confirmed = sum(amounts(chain, scripts).values())
    return confirmed, sum(sats for s in scripts for sats in chain.unspent(s).values()) - confirmed


def amounts(chain: ToyChain, scripts: Sequence[bytes]) -> dict[Txid, int]:
    """What each transaction in the chain adds to these scripts or takes from them."""
    txids = {t for script in scripts for t, height in chain.history(scripthash(script)) if height > 0}
    found = {}
    for txid in txids:
        tx = chain.transactions[txid]
        received = sum(sats for script, sats in tx.outputs if script in scripts)
        spent = [] if tx.is_coinbase else [chain.output(coin) for coin in tx.inputs]
        found[txid] = received - sum(sats for script, sats in spent if script in scripts)
    return found
