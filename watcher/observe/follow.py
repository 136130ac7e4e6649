"""Finds where a source's chain leaves ours and brings the headers of its branch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.checkpoints import checkpoints
from watcher.bitcoin.headers import PERIOD, header_hash, parse_header, validate_chunk, work_of
from watcher.bitcoin.types import BlockRef, Malformed
from watcher.sources.base import Misbehaved, Unavailable

if TYPE_CHECKING:
    from watcher.bitcoin.networks import Params
    from watcher.core.observation import ChainChange
    from watcher.observe.our_chain import OurChain
    from watcher.sources.base import Source, SourceTip

CHUNK: Final = PERIOD  # headers a question; what Electrum servers give at most
FIRST_STEP_BACK: Final = 16  # most reorganisations are shallower; each further step doubles
# ElectrumX serves a new branch up to seconds before it announces it: what was asked for in two questions
# may be of two branches, and only what never fits is a lie
LOOKS: Final = 5
LOOK_AGAIN_SECONDS: Final = 0.5  # doubled each time


async def trusted_start(params: Params, source: Source) -> tuple[int, tuple[bytes, ...]]:
    """Where a chain nobody has yet begins: the genesis block, or the last checkpoint's whole period.

    The period is kept because the next retarget is computed from its first header.
    """
    known = checkpoints(params.network)
    if not known:
        return 0, (params.genesis_header,)
    start = known[-1].height - PERIOD + 1
    raws = await source.headers(start, PERIOD)
    if len(raws) < PERIOD:
        raise Unavailable(f"its chain does not reach {start + PERIOD - 1} yet")
    try:
        validate_chunk(params, start, raws, previous_hash=known[-2].hash, last_hash=known[-1].hash)
    except Malformed as error:
        raise Misbehaved("headers", str(error)) from error
    return start, raws


@dataclass(frozen=True, slots=True)
class Fork:
    """A source is on another branch: the last block of both, its tip, and the tip of ours with the same work.

    None where ours has more.
    """

    block: BlockRef
    tip: BlockRef
    beside: BlockRef | None


async def follow(chain: OurChain, source: Source, tip: SourceTip) -> ChainChange | Fork | None:
    """The change that brings our chain towards `tip`; else where the two part, None where they do not.

    A long way is gone a chunk at a time: the caller asks again until the tip is reached. A
    reorganisation comes whole, so that nothing is unconfirmed by half a branch. `Misbehaved` where the
    headers, asked for time after time, break a rule of the network or do not link.
    """
    for look in range(1, LOOKS + 1):
        ours = chain.tip
        try:
            return await _look(chain, source, tip)
        except Malformed as error:
            if (await source.tip()).block != tip.block:
                raise Unavailable("its chain moved while its headers were asked for") from error
            if look == LOOKS and chain.tip == ours:
                raise Misbehaved("headers", str(error)) from error
        if chain.tip == ours:  # else another source was faster, and ours is another chain now
            await asyncio.sleep(LOOK_AGAIN_SECONDS * 2 ** (look - 1))
    raise Unavailable("our chain moved while its headers were asked for")


async def _look(chain: OurChain, source: Source, tip: SourceTip) -> ChainChange | Fork | None:
    if chain.has(tip.block):
        return None
    ours = chain.tip
    fork = await _fork_height(chain, source, tip.block.height)
    raws: list[bytes] = []
    while fork + len(raws) < tip.block.height:
        if raws:
            chain.extend(fork + 1, raws)  # what proves no work is refused before there is more of it
        wanted = min(CHUNK, tip.block.height - fork - len(raws))
        more = await source.headers(fork + 1 + len(raws), wanted)
        if not more:
            raise Unavailable(f"no headers from {fork + 1 + len(raws)}, below its own tip")
        raws += more
        if fork == chain.tip.height:
            break
    if not raws:  # it has our blocks already, and has not announced them
        return None
    change = chain.extend(fork + 1, raws)
    if change is not None:
        return change
    if chain.tip != ours:  # another source was faster
        return await _look(chain, source, tip)
    theirs = sum(work_of(parse_header(raw).bits) for raw in raws)
    shared = BlockRef(fork, parse_header(raws[0]).previous)
    return Fork(shared, tip.block, beside=ours if theirs == chain.work_from(fork + 1) else None)


async def _fork_height(chain: OurChain, source: Source, tip_height: int) -> int:
    """The highest block of ours that the source has too."""
    if tip_height > chain.tip.height:
        next_one = await source.headers(chain.tip.height + 1, 1)
        if next_one and next_one[0][4:36] == bytes.fromhex(chain.tip.hash)[::-1]:
            return chain.tip.height
    if tip_height < chain.base:
        raise Unavailable(f"its chain does not reach {chain.base} yet")
    step = FIRST_STEP_BACK
    top = min(tip_height, chain.tip.height)
    while top >= chain.base:
        start = max(chain.base, top - step + 1)
        theirs = await source.headers(start, top - start + 1)
        for height in range(start + len(theirs) - 1, start - 1, -1):
            if chain.has(BlockRef(height, header_hash(theirs[height - start]))):
                return height
        top, step = start - 1, min(step * 2, CHUNK)
    raise Misbehaved("headers", f"its chain shares no block with ours from {chain.base} on")
