"""What a first reading may take up before it is proven: a script's past, by the word of all that are asked.

Branches are half of what a first reading asks for. Where every source that may be asked has told the same
status, and so the same history, the transactions of the past are taken up as corroborated; their branches
come afterwards. What is told as an event is never taken up this way: it is proven first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.scripts import scripthash
from watcher.ledger import knowledge
from watcher.sources.aside import aside_if_many

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from watcher.bitcoin.transactions import Transaction
    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.observe.proving import Ledger
    from watcher.sources.base import Claim

AT_ONCE: Final = 50  # of so few transactions the branches are asked for at once: a second pass saves nothing


@dataclass(frozen=True, slots=True)
class Past:
    """`height` is at or below every watch's anchor; `unread` are the scripts that were never read in full.

    Of the `counted` among them the ledger has all that a source told slice by slice, while their reading
    waits for others: their histories are not gone through again.
    `vouchers` names the sources that have all said that this status is the script's; none where they have
    not, or where their word is not worth enough. `spoken` returns when all have been asked that can be.
    """

    height: int
    unread: Collection[ScriptHash]
    counted: set[ScriptHash]
    watched: Collection[ScriptHash]
    vouchers: Callable[[ScriptHash, str | None], tuple[str, ...]]
    spoken: Callable[[], Awaitable[None]]

    async def vouched(
        self,
        histories: Mapping[ScriptHash, Sequence[Claim]],
        statuses: Mapping[ScriptHash, str | None],
    ) -> dict[ScriptHash, tuple[str, ...]]:
        """Of each script that all say the same of: who does. A long past is worth waiting for their word."""
        found = self._vouched(histories, statuses)
        unsaid = (len(h) for script, h in histories.items() if script in self.unread and script not in found)
        if sum(unsaid) <= AT_ONCE:
            return found
        await self.spoken()
        return self._vouched(histories, statuses)

    def _vouched(
        self,
        histories: Mapping[ScriptHash, Sequence[Claim]],
        statuses: Mapping[ScriptHash, str | None],
    ) -> dict[ScriptHash, tuple[str, ...]]:
        # what is in no block is a fact only by who has shown it: such a history has to be read at each
        return {
            script: names
            for script, history in histories.items()
            if script in self.unread
            and not (history and history[-1].height is None)  # which come last
            and (names := self.vouchers(script, statuses[script]))
        }

    def waiting(
        self,
        histories: Mapping[ScriptHash, Sequence[Claim]],
        vouched: Mapping[ScriptHash, tuple[str, ...]],
        news: Mapping[Txid, Claim],
    ) -> dict[Txid, tuple[str, ...]]:
        """The transactions whose branches may wait, with who vouches for them."""
        found = {
            claim.txid: names
            for script, names in vouched.items()
            for claim in histories[script]
            if claim.height is not None and claim.height <= self.height and news.get(claim.txid) == claim
        }
        return found if len(found) > AT_ONCE else {}

    async def told_before(self, ledger: Ledger, transactions: Mapping[Txid, Transaction]) -> set[Txid]:
        """Those that touch a script which was read before: they may be events, and have to be proven."""
        if not transactions:
            return set()
        spent = await aside_if_many(
            len(transactions), lambda: {i.outpoint for tx in transactions.values() for i in tx.inputs}
        )
        coins = await ledger.run(lambda c: knowledge.coins(c, spent))
        read = {point for point, coin in coins.items() if self._was_read(coin.script_pubkey)}
        return await aside_if_many(
            len(transactions),
            lambda: {
                txid
                for txid, tx in transactions.items()
                if any(i.outpoint in read for i in tx.inputs)
                or any(self._was_read(output.script_pubkey) for output in tx.outputs)
            },
        )

    def _was_read(self, script_pubkey: bytes) -> bool:
        script = scripthash(script_pubkey)
        return script in self.watched and script not in self.unread
