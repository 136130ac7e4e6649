"""Who took the coins of a transaction that is gone.

A replacement or a double spend of an inflow need not pay us: then our own script's history only
becomes shorter. It does spend the same coins, so it stands in the history of the scripts these lie on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Unconfirmed
from watcher.core.observation import Sighting, Trust
from watcher.observe.proving import by_parent, fetch, fetch_outputs
from watcher.sources.base import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.transactions import Transaction
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.observe.proving import Prover
    from watcher.sources.base import Source

MAX_SCRIPTS: Final = 10  # of one lost transaction; a rival shares a coin with it, so mostly one would do
MAX_CANDIDATES: Final = 50  # the newest of each history: the rival is younger than the coin


async def find_rivals(source: Source, prover: Prover, lost: Sequence[Transaction]) -> dict[Txid, Sighting]:
    """Transactions that spend a coin of a lost one, where the source has any; confirmed ones are proven."""
    coins = {i.outpoint for tx in lost for i in tx.inputs if not tx.is_coinbase}
    outputs = await fetch_outputs(source, by_parent(sorted(coins)))
    scripts: dict[ScriptHash, None] = {}
    for tx in lost:
        lies_on = [scripthash(outputs[i.outpoint].script_pubkey) for i in tx.inputs if i.outpoint in outputs]
        scripts |= dict.fromkeys(lies_on[:MAX_SCRIPTS])
    answer = await source.histories(list(scripts))
    gone = {tx.txid for tx in lost}
    heights: dict[Txid, int | None] = {}
    for history in answer.histories.values():
        if not isinstance(history, SourceError):
            heights |= {c.txid: c.height for c in history[-MAX_CANDIDATES:] if c.txid not in gone}
    candidates, _ = await fetch(source, list(heights), witnesses=True)
    rivals = {t: tx for t, tx in candidates.items() if any(i.outpoint in coins for i in tx.inputs)}
    found = await prover.prove(
        source, rivals, {t: height for t in rivals if (height := heights[t]) is not None}
    )
    for txid, tx in rivals.items():
        if heights[txid] is None:
            found[txid] = Sighting(tx, Unconfirmed(), Trust.REPORTED, (source.name,))
    return found
