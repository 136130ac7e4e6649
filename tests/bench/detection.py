"""From a server's notification to the webhook: an unconfirmed inflow to one address among many."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.bench.bare import Bare
from tests.bench.disk import fsync_ms
from tests.bench.place import QUIET_SECONDS, Watched, fresh, payments, scripts
from tests.bench.result import Row, median, quantile
from tests.stack.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.receiver import Received
    from tests.stack.regtest import Regtest

_RANG: Final = "blockchain.scripthash.subscribe"


async def detection(regtest: Regtest, folder: Path, *, watched: int, samples: int) -> Row:
    """`samples` pairs, one client after the other, each on a quiet line and on an address of its own.

    Ours ends when the receiver has verified the webhook: signatures, proof of the bytes, the fee's parents,
    the commit and its fsync are in it. The reference ends with the raw transaction in hand.
    """
    ours = scripts(watched, "detection")
    theirs = scripts(samples, "detection, bare")
    sent = await payments(regtest, [*ours[:samples], *theirs])
    took: list[float] = []
    bare_took: list[float] = []
    async with Receiver() as receiver:
        place = Watched(folder, regtest.electrumx.url, ours, receiver.url)
        async with (
            place.daemon() as daemon,
            Bare(regtest.electrumx.port) as listener,
            Bare(regtest.electrumx.port) as bare,
        ):
            await fresh(daemon, within=600)
            await listener.subscribe([one.scripthash for one in ours[:samples]])
            await bare.subscribe([one.scripthash for one in theirs])
            for number in range(samples):
                await asyncio.sleep(QUIET_SECONDS)  # what is measured: a client on a quiet line
                draft = sent[number]
                await regtest.chain.send(draft)
                rang = await listener.told(_RANG)
                webhook = await receiver.wait_for(partial(_is_about, draft.txid))
                took.append((webhook.at - rang.at) * 1000)
                await regtest.chain.send(sent[samples + number])
                rang = await bare.told(_RANG)
                ended = await bare.fetched_at([rang.params[0]])
                bare_took.append((ended - rang.at) * 1000)
    await regtest.chain.mine()
    return Row(
        name=f"notification to webhook, one address among {watched:,}",
        unit="ms",
        more_is_better=False,
        ours=tuple(took),
        reference="bare client: history and transaction",
        theirs=tuple(bare_took),
        beside={
            "p99 by median": quantile(took, 0.99) / median(took),
            "fsync ms": median(fsync_ms(folder)),
        },
    )


def _is_about(txid: str, received: Received) -> bool:
    return received.data.get("txid") == txid
