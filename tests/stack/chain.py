"""Verbs on a regtest chain: pay, replace, mine and reorganise, each with exactly the transactions one names.

Three wallets live in the node: `treasury` holds the keys of the watched addresses, `bank` pays into
them, `stranger` is everybody else and earns all block rewards. Coins and fees are chosen here and not by
the node, so that a test knows which coin is spent and every transaction can be replaced.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tests.stack.bitcoind import RpcError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tests.stack.bitcoind import Node
    from tests.stack.electrumx import ElectrumX

AddressKind: TypeAlias = Literal["bech32", "bech32m", "p2sh-segwit", "legacy"]

FEE_RATE = 2  # sat/vB
_TREASURY, _BANK, _STRANGER = WALLETS = ("treasury", "bank", "stranger")
_COIN = 100_000_000
_SMALLEST_CHANGE = 1_000  # above every kind's dust limit; less goes to the miner
_BANK_COINS = 100
_SPLIT_HEIGHT = 111  # the block that gives the bank its coins: never reorganised away
_START_HEIGHT = 130
_ORDINARY_VSIZE = 1_000


@dataclass(frozen=True, slots=True)
class Coin:
    """An unspent output of one of the wallets."""

    txid: str
    vout: int
    sats: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A signed transaction, in hex, that nobody has seen yet."""

    txid: str
    raw: str


class NotEnoughError(RuntimeError):
    """The coins at hand do not cover the amount and its fee."""


class Chain:
    """The verbs, on a node of one's own. `await Chain.open(node)` makes the wallets and 130 blocks."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.servers: list[ElectrumX] = []  # that follow the node

    @classmethod
    async def open(cls, node: Node) -> Chain:
        """A chain whose bank owns 100 confirmed coins of 4 BTC."""
        chain = cls(node)
        for wallet in WALLETS:
            await node.rpc("createwallet", wallet, False, False, "", False, True, True)
        # Blocks made within one second date themselves into the future: these start two hours back.
        await node.rpc("setmocktime", int(time.time()) - 7_200)
        # The bank's rewards are ripe at the start, so that no reorganisation makes one unripe again.
        await node.rpc("generatetoaddress", 10, await chain._address(_BANK))
        await chain.mine(100)
        coins = [await chain._address(_BANK) for _ in range(_BANK_COINS)]
        change = await chain._address(_BANK)
        split = await chain.draft(dict.fromkeys(coins, 4 * _COIN), await chain._unspent(_BANK), change=change)
        await chain.send(split)
        await chain.mine(_START_HEIGHT - _SPLIT_HEIGHT + 1)
        await node.rpc("setmocktime", 0)
        return chain

    # Addresses and what lies on them

    async def new_address(self, kind: AddressKind = "bech32") -> str:
        """A fresh address whose key the treasury wallet holds."""
        return await self._address(_TREASURY, kind)

    async def stranger(self, kind: AddressKind = "bech32") -> str:
        """A fresh address of somebody else."""
        return await self._address(_STRANGER, kind)

    async def coins(self, address: str) -> list[Coin]:
        """The unspent outputs at an address of any of the wallets, unconfirmed ones last."""
        found = [coin for wallet in WALLETS for coin in await self._unspent(wallet, address)]
        return sorted(found, key=lambda coin: (not coin.confirmed, coin.txid, coin.vout))

    async def utxo_total(self, addresses: Iterable[str] = (), *, scripts: Iterable[str] = ()) -> int:
        """The confirmed satoshis on these addresses and script_pubkeys (hex), by the node's own UTXO set."""
        wanted = [f"addr({address})" for address in addresses] + [f"raw({script})" for script in scripts]
        scan = await self.node.rpc("scantxoutset", "start", wanted)
        return _sats(scan["total_amount"])

    async def tip(self) -> tuple[int, str]:
        """Height and hash of the node's best block."""
        info = await self.node.rpc("getblockchaininfo")
        return info["blocks"], info["bestblockhash"]

    async def mempool(self) -> set[str]:
        """The txids in the node's mempool."""
        return set(await self.node.rpc("getrawmempool"))

    # Transactions

    async def fund(self, address: str, sats: int, *, fee_rate: float = FEE_RATE) -> str:
        """The bank pays; the txid, unconfirmed."""
        return await self.send(await self.draft_fund(address, sats, fee_rate=fee_rate))

    async def draft_fund(self, address: str, sats: int, *, fee_rate: float = FEE_RATE) -> Draft:
        """What `fund` would send."""
        coins = _enough(await self._unspent(_BANK), sats, fee_rate)
        change = await self._address(_BANK)
        return await self.draft({address: sats}, coins, change=change, fee_rate=fee_rate)

    async def spend(
        self, source: str, to: str, sats: int, *, change: str | None = None, fee_rate: float = FEE_RATE
    ) -> str:
        """Pay from the coins at `source`; the rest goes back, or to `change`. The txid, unconfirmed."""
        return await self.send(await self.draft_spend(source, to, sats, change=change, fee_rate=fee_rate))

    async def draft_spend(
        self, source: str, to: str, sats: int, *, change: str | None = None, fee_rate: float = FEE_RATE
    ) -> Draft:
        """What `spend` would send."""
        coins = _enough(await self.coins(source), sats, fee_rate)
        return await self.draft({to: sats}, coins, change=change or source, fee_rate=fee_rate)

    async def sweep(self, source: str, to: str, *, fee_rate: float = FEE_RATE) -> str:
        """Move everything at `source`, less the fee, into one output at `to`. The txid, unconfirmed."""
        return await self.send(await self.draft({}, await self.coins(source), change=to, fee_rate=fee_rate))

    async def self_transfer(self, address: str, *, fee_rate: float = FEE_RATE) -> str:
        """Everything at the address moves to the same address; only the fee leaves. The txid, unconfirmed."""
        return await self.sweep(address, address, fee_rate=fee_rate)

    async def draft(
        self, outputs: Mapping[str, int], coins: Sequence[Coin], *, change: str, fee_rate: float = FEE_RATE
    ) -> Draft:
        """Spend exactly these coins, signal replaceability, and put the change output last. Not broadcast."""
        if not coins:
            raise NotEnoughError("no coin to spend")
        rest = sum(coin.sats for coin in coins) - sum(outputs.values())
        inputs = [{"txid": coin.txid, "vout": coin.vout} for coin in coins]
        for keeps_change in (True, False):
            paid = dict(outputs)
            if keeps_change:
                paid[change] = paid.get(change, 0) + max(rest, 0)
            fee = math.ceil(await self._vsize(inputs, paid) * fee_rate)
            if keeps_change and rest - fee >= _SMALLEST_CHANGE:
                paid[change] -= fee
                return await self._sign(inputs, paid)
            if not keeps_change and outputs and rest >= fee:
                return await self._sign(inputs, paid)
        raise NotEnoughError(f"{rest} sat are left for a fee of {fee}")

    async def send(self, draft: Draft) -> str:
        """Put it into the node's mempool; its txid."""
        txid: str = await self.node.rpc("sendrawtransaction", draft.raw, 0)
        return txid

    async def replace(self, txid: str, *, to: str | None = None, fee_rate: float | None = None) -> str:
        """Replace an unconfirmed transaction by one that spends the same coins; the new txid.

        Without `to` it pays the same, a higher fee being taken from the last output (the change, where
        there is one); with `to` everything goes to that address instead. Its descendants fall with it.
        """
        return await self.send(await self.draft_replacement(txid, to=to, fee_rate=fee_rate))

    async def draft_replacement(
        self, txid: str, *, to: str | None = None, fee_rate: float | None = None
    ) -> Draft:
        """What `replace` would send; the transaction may be unconfirmed or dropped, but must be known."""
        old = await self.node.rpc("getrawtransaction", txid, True)
        inputs = [{"txid": source["txid"], "vout": source["vout"]} for source in old["vin"]]
        total = sum([await self._value(source["txid"], source["vout"]) for source in inputs])
        paid = {output["scriptPubKey"]["address"]: _sats(output["value"]) for output in old["vout"]}
        old_fee = total - sum(paid.values())
        if to is not None:
            paid = {to: total}
        vsize = await self._vsize(inputs, paid)
        rate = fee_rate or old_fee / old["vsize"] + FEE_RATE
        # BIP 125: a higher rate does not suffice, the fee itself must grow, also when the size shrinks.
        fee = max(math.ceil(vsize * rate), old_fee + vsize * FEE_RATE) + await self._descendant_fees(txid)
        last = list(paid)[-1]
        paid[last] += total - sum(paid.values()) - fee
        if paid[last] < _SMALLEST_CHANGE:
            raise NotEnoughError(f"the last output cannot pay a fee of {fee}")
        return await self._sign(inputs, paid)

    # Blocks

    async def mine(self, n: int = 1) -> list[str]:
        """`n` blocks with everything the mempool holds; their hashes."""
        hashes: list[str] = await self.node.rpc("generatetoaddress", n, await self.stranger())
        return hashes

    async def mine_only(self, txids: Sequence[str] = (), *, raw: Sequence[str] = ()) -> str:
        """One block with these transactions of the mempool, then these raw ones, in this order; its hash."""
        block = await self.node.rpc("generateblock", await self.stranger(), [*txids, *raw])
        mined: str = block["hash"]
        return mined

    async def mine_with_raw(self, draft: Draft) -> str:
        """One block with a transaction that was never in the mempool, and nothing else; its hash."""
        return await self.mine_only(raw=[draft.raw])

    async def reorg(
        self, depth: int, *, keep: Collection[str] = (), raw: Sequence[str] = (), longer: int = 1
    ) -> list[str]:
        """Replace the last `depth` blocks by `depth + longer` others; the new hashes.

        The first new block holds, of the transactions that were in the old ones or are in the mempool,
        those in `keep`, and then `raw` (a conflicting spend, say); the others hold nothing. What is not
        kept goes back to the mempool, but for reorganisations deeper than ten, where the node lets go of it.
        """
        for server in self.servers:
            await server.synced()  # it ends where its node lets go of a height that it is about to ask for
        height, _ = await self.tip()
        if height - depth < _SPLIT_HEIGHT:
            raise ValueError(
                f"mine first: a reorganisation of {depth} at height {height} would undo the start"
            )
        first = await self.node.rpc("getblockhash", height - depth + 1)
        disconnected = await self._transactions_of(range(height - depth + 1, height + 1))
        waiting = [txid for txid in keep if txid not in disconnected]
        await self.node.rpc("invalidateblock", first)
        kept = [hexes for txid, hexes in disconnected.items() if txid in keep]
        hashes = [await self.mine_only(raw=[*kept, *waiting, *raw])]
        hashes += [await self.mine_only() for _ in range(depth + longer - 1)]
        await self._abandon_what_is_gone()
        return hashes

    async def drop_mempool(self, *, keep: Collection[str] = ()) -> None:
        """The node restarts and has forgotten every unconfirmed transaction but those in `keep`."""
        entries = await self.node.rpc("getrawmempool", True)
        oldest_first = sorted(
            (txid for txid in entries if txid in keep), key=lambda t: entries[t]["ancestorcount"]
        )
        kept = [Draft(txid, await self.node.rpc("getrawtransaction", txid)) for txid in oldest_first]
        await self.node.restart()
        for draft in kept:
            await self.send(draft)
        await self._abandon_what_is_gone()

    # How

    async def _address(self, wallet: str, kind: AddressKind = "bech32") -> str:
        address: str = await self.node.rpc("getnewaddress", "", kind, wallet=wallet)
        return address

    async def _unspent(self, wallet: str, *addresses: str) -> list[Coin]:
        found = await self.node.rpc("listunspent", 0, 9_999_999, addresses, True, wallet=wallet)
        return [Coin(c["txid"], c["vout"], _sats(c["amount"]), c["confirmations"] > 0) for c in found]

    async def _value(self, txid: str, vout: int) -> int:
        parent = await self.node.rpc("getrawtransaction", txid, True)
        return _sats(parent["vout"][vout]["value"])

    async def _descendant_fees(self, txid: str) -> int:
        """What its descendants paid: a replacement must pay more than all of them together (BIP 125)."""
        try:
            fees = (await self.node.rpc("getmempoolentry", txid))["fees"]
        except RpcError:
            return 0
        return _sats(fees["descendant"]) - _sats(fees["base"])

    async def _vsize(self, inputs: list[dict[str, Any]], paid: Mapping[str, int]) -> int:
        signed = await self._sign(inputs, paid)
        vsize: int = (await self.node.rpc("decoderawtransaction", signed.raw))["vsize"]
        return vsize

    async def _sign(self, inputs: list[dict[str, Any]], paid: Mapping[str, int]) -> Draft:
        outputs = {address: str(Decimal(sats) / _COIN) for address, sats in paid.items()}
        raw = await self.node.rpc("createrawtransaction", inputs, outputs, 0, True)
        for wallet in WALLETS:
            signed = await self.node.rpc("signrawtransactionwithwallet", raw, wallet=wallet)
            raw = signed["hex"]
            if signed["complete"]:
                decoded = await self.node.rpc("decoderawtransaction", raw)
                return Draft(decoded["txid"], raw)
        raise RuntimeError(f"no wallet holds the key: {signed['errors']}")

    async def _transactions_of(self, heights: Iterable[int]) -> dict[str, str]:
        """Raw transactions by txid, in the chain's order, without the coinbases."""
        found: dict[str, str] = {}
        for height in heights:
            block = await self.node.rpc("getblock", await self.node.rpc("getblockhash", height), 2)
            found |= {entry["txid"]: entry["hex"] for entry in block["tx"][1:]}
        return found

    async def _abandon_what_is_gone(self) -> None:
        """Let the wallets spend again what only transactions spent that are nowhere any more."""
        mempool = await self.mempool()
        for wallet in WALLETS:
            listed = await self.node.rpc("listtransactions", "*", 10_000, wallet=wallet)
            gone = {entry["txid"] for entry in listed if entry["confirmations"] == 0} - mempool
            for txid in gone:
                await self.node.rpc("abandontransaction", txid, wallet=wallet)


def _enough(coins: Sequence[Coin], sats: int, fee_rate: float) -> list[Coin]:
    """The smallest confirmed coin that suffices, else the largest first, unconfirmed ones last."""
    wanted = sats + math.ceil(fee_rate * _ORDINARY_VSIZE)
    sufficient = [coin for coin in coins if coin.confirmed and coin.sats >= wanted]
    if sufficient:
        return [min(sufficient, key=lambda coin: coin.sats)]
    chosen: list[Coin] = []
    for coin in sorted(coins, key=lambda coin: (not coin.confirmed, -coin.sats)):
        if sum(c.sats for c in chosen) >= wanted:
            break
        chosen.append(coin)
    return chosen


def _sats(amount: Decimal) -> int:
    return int(amount * _COIN)
