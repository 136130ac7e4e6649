"""What a transaction means to a treasury: direction, amounts, who paid and who was paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watcher.bitcoin.scripts import is_unspendable
from watcher.core.known import Coin, Flow, Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from watcher.bitcoin.transactions import Transaction, TxOutput
    from watcher.bitcoin.types import Outpoint, Sats, Txid


class Movement(msgspec.Struct, frozen=True):
    """The net of one of the treasury's scripts."""

    member: Member
    amount: Sats


class Destination(NamedTuple):
    """An output that is not the treasury's; `label` is what another treasury's list calls its address."""

    output: TxOutput
    label: str | None


class Meaning(msgspec.Struct, frozen=True):
    """One transaction seen from one treasury; `fee` is None where an input's amount is not known."""

    flow: Flow
    amount: Sats
    moved: Sats
    fee: Sats | None
    mixed: bool
    movements: tuple[Movement, ...]
    destinations: tuple[Destination, ...]
    counterparties: tuple[tuple[str, Sats], ...]
    oldest_coin_time: int | None
    first_spend: bool = False  # no other transaction is known to have spent from one of its scripts before


def nets(
    tx: Transaction, members: Mapping[bytes, Member], coins: Mapping[Outpoint, Coin]
) -> dict[bytes, Sats]:
    """The net of each watched script that `tx` pays or spends."""
    result: dict[bytes, Sats] = {}
    for spent in tx.inputs:
        coin = coins.get(spent.outpoint)
        if coin is not None and coin.output.script_pubkey in members:
            script = coin.output.script_pubkey
            result[script] = result.get(script, 0) - coin.output.sats
    for output in tx.outputs:
        if output.script_pubkey in members:
            result[output.script_pubkey] = result.get(output.script_pubkey, 0) + output.sats
    return result


def meaning(
    tx: Transaction,
    treasury: str,
    members: Mapping[bytes, Member],
    coins: Mapping[Outpoint, Coin],
    parents: Mapping[Outpoint, TxOutput],
    first_spends: Mapping[bytes, Txid],
) -> Meaning:
    """What `tx` means to `treasury`; `first_spends` names by script the first transaction to spend from it.

    Internal is a transaction with an input of ours whose every output is ours or unspendable; else the
    sign of the net decides, and a net of zero with an input of ours is an outflow of 0.
    """
    mine: dict[bytes, Sats] = {}
    others: dict[str, Sats] = {}
    for script, net in nets(tx, members, coins).items():
        owner = members[script].treasury
        if owner == treasury:
            mine[script] = net
        else:
            others[owner] = others.get(owner, 0) + net
    amount = sum(mine.values())
    spent = [coins[i.outpoint] for i in tx.inputs if i.outpoint in coins]
    spent = [coin for coin in spent if coin.output.script_pubkey in mine]
    foreign = [
        output
        for output in tx.outputs
        if output.script_pubkey not in mine and not is_unspendable(output.script_pubkey)
    ]
    flow = (
        Flow.INTERNAL if spent and not foreign else Flow.INFLOW if amount > 0 or not spent else Flow.OUTFLOW
    )
    times = [coin.block_time for coin in spent if coin.block_time is not None]
    return Meaning(
        flow=flow,
        amount=amount,
        moved=sum(n for n in mine.values() if n > 0) if flow is Flow.INTERNAL else abs(amount),
        fee=_fee(tx, coins, parents),
        mixed=bool(spent) and len(spent) < len(tx.inputs),
        movements=tuple(Movement(members[script], net) for script, net in mine.items()),
        destinations=tuple(_destinations(foreign, members)) if flow is Flow.OUTFLOW else (),
        counterparties=tuple(sorted(others.items())),
        oldest_coin_time=min(times, default=None),
        first_spend=any(first_spends.get(coin.output.script_pubkey) == tx.txid for coin in spent),
    )


def _destinations(paid: Iterable[TxOutput], members: Mapping[bytes, Member]) -> Iterator[Destination]:
    for output in paid:
        member = members.get(output.script_pubkey)
        yield Destination(output, None if member is None else member.label)


def _fee(
    tx: Transaction, coins: Mapping[Outpoint, Coin], parents: Mapping[Outpoint, TxOutput]
) -> Sats | None:
    """The whole fee; None for a coinbase and where an input is not known."""
    if tx.is_coinbase:
        return None
    total = 0
    for spent in tx.inputs:
        coin = coins.get(spent.outpoint)
        output = coin.output if coin is not None else parents.get(spent.outpoint)
        if output is None:
            return None
        total += output.sats
    return total - sum(output.sats for output in tx.outputs)
