"""A block with payments to many of the watched scripts: from its header to the last commit."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from tests.bench.bare import Bare
from tests.bench.place import QUIET_SECONDS, Watched, fresh, payments, scripts
from tests.bench.result import Row
from tests.stack.processes import until
from watcher.ledger.sqlite import open_reader

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.place import Script
    from tests.stack.chain import Draft
    from tests.stack.daemon import Daemon
    from tests.stack.regtest import Regtest

_TIP: Final = "blockchain.headers.subscribe"
_LOOK_SECONDS: Final = 0.002
_FLUSH_SECONDS: Final = 0.005


async def block(regtest: Regtest, folder: Path, *, watched: int, touched: int, repeats: int) -> Row:
    """Nobody has seen the payments before the block: all of it is to be fetched and proven.

    A block for the bare client and one for the daemon take turns; neither watches the other's scripts.
    """
    ours = scripts(watched, "block")
    theirs = scripts(touched * repeats, "block, bare")
    if watched < touched * repeats:
        raise ValueError(f"{repeats} blocks of {touched} scripts each, and only {watched} are watched")
    took: list[float] = []
    bare_took: list[float] = []
    place = Watched(folder, regtest.electrumx.url, ours)
    async with place.daemon() as daemon:
        await fresh(daemon, within=600)
        ledger = open_reader(place.ledger())
        for number in range(repeats):
            # others each time: a client that keeps nothing would fetch their past again
            part = slice(number * touched, (number + 1) * touched)
            sent = await payments(regtest, [*theirs[part], *ours[part]])
            daemon.child.pause()  # the bare client has the machine and the server for itself
            try:
                bare_took.append(await _bare(regtest, theirs[part], sent[:touched]))
            finally:
                daemon.child.resume()
            await _at(daemon, await regtest.node.rpc("getblockcount"))
            took.append(await _ours(regtest, ledger, sent[touched:]))
        ledger.close()
    return Row(
        name=f"a block touching {touched:,} of {watched:,} scripts, header to last commit",
        unit="ms",
        more_is_better=False,
        ours=tuple(took),
        reference="bare client: histories, transactions, branches",
        theirs=tuple(bare_took),
    )


async def _at(daemon: Daemon, height: int) -> None:
    async def there() -> bool:
        return await daemon.metric("watcher_tip_height") == height

    await until(there, within=30, what=f"the daemon at block {height}")


async def _bare(regtest: Regtest, touched: Sequence[Script], sent: Sequence[Draft]) -> float:
    """Milliseconds from the header to the last branch."""
    async with Bare(regtest.electrumx.port) as bare:
        names = [one.scripthash for one in touched]
        await bare.subscribe_to_headers()
        await bare.subscribe(names)
        await asyncio.sleep(QUIET_SECONDS)
        await regtest.chain.mine_only(raw=[draft.raw for draft in sent])
        began = (await bare.told(_TIP)).at
        fetching: list[asyncio.Task[int]] = []
        told = 0
        while told < len(names):  # what is told is fetched while the server finds what else is to be told
            await bare.flush()
            rung = [bare.notes.get_nowait().params[0] for _ in range(bare.notes.qsize())]
            told += len(rung)
            if rung:
                fetching.append(asyncio.create_task(bare.fetch(rung)))
            else:
                await asyncio.sleep(_FLUSH_SECONDS)
        fetched = sum(await asyncio.gather(*fetching))
        if fetched != len(names):
            raise RuntimeError(f"the bare client fetched {fetched} transactions of {len(names)}")
        return (time.time() - began) * 1000


async def _ours(regtest: Regtest, ledger: sqlite3.Connection, sent: Sequence[Draft]) -> float:
    """Milliseconds from the header, as another client is told it, until the ledger has the last event."""
    async with Bare(regtest.electrumx.port) as listener:
        await listener.subscribe_to_headers()
        await asyncio.sleep(QUIET_SECONDS)
        wanted = _confirmed(ledger) + len(sent)
        await regtest.chain.mine_only(raw=[draft.raw for draft in sent])
        began = (await listener.told(_TIP)).at
        ends = time.time() + 60
        while _confirmed(ledger) < wanted:
            if time.time() > ends:
                raise TimeoutError(f"{_confirmed(ledger)} confirmed of {wanted}")
            await asyncio.sleep(_LOOK_SECONDS)
        return (time.time() - began) * 1000


def _confirmed(ledger: sqlite3.Connection) -> int:
    """How many `tx.confirmed` are committed."""
    count: int = ledger.execute("SELECT count(*) FROM events WHERE type = 'tx.confirmed'").fetchone()[0]
    return count
