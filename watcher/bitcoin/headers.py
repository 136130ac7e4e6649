"""Block headers: what work they prove, and what a branch of them must obey.

Signet's blocks carry their signature in the coinbase (BIP 325), and the testnets' minimum difficulty
lets anyone mine: on both a valid branch proves less than it does on the main chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, assert_never

from watcher.bitcoin.hashing import display, sha256d
from watcher.bitcoin.networks import BitsRule
from watcher.bitcoin.types import BlockHash, Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watcher.bitcoin.networks import Params

HEADER_SIZE = 80
PERIOD = 2016  # blocks between two retargets
MEDIAN_SPAN = 11  # blocks whose median time the next one must be after

_PERIOD_SECONDS = 14 * 24 * 60 * 60
_FIELDS = Struct("<4x32s32sII4x").unpack
_RULED = Struct("<4x32s32xII4x").unpack


@dataclass(frozen=True, slots=True)
class Header:
    """A header: hashes in display order, `time` the miner's in Unix seconds, `bits` the compact target."""

    hash: BlockHash
    previous: BlockHash
    merkle_root: str
    time: int
    bits: int
    raw: bytes


def parse_header(raw: bytes) -> Header:
    """The header these 80 bytes are; any 80 bytes are one, what they prove is `validate_headers`' to say."""
    _check_size(raw)
    previous, merkle_root, time, bits = _FIELDS(raw)
    return Header(
        hash=header_hash(raw),
        previous=BlockHash(display(previous)),
        merkle_root=display(merkle_root),
        time=time,
        bits=bits,
        raw=raw,
    )


def header_hash(raw: bytes) -> BlockHash:
    """The block's hash, from its 80-byte header."""
    _check_size(raw)
    return BlockHash(display(sha256d(raw)))


@lru_cache(maxsize=4096)
def target_of(bits: int) -> int:
    """The number a block's hash may not exceed; `Malformed` for a negative, zero or too large one."""
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    if bits & 0x800000 and mantissa:
        raise Malformed("a negative target")
    target = mantissa << 8 * (size - 3) if size > 3 else mantissa >> 8 * (3 - size)
    if not target:
        raise Malformed("a target of zero")
    if target >> 256:
        raise Malformed("a target of more than 256 bits")
    return target


def bits_of(target: int) -> int:
    """The compact form of a target, rounded down to its three leading bytes."""
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size)
    if mantissa & 0x800000:  # the sign's bit
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


@lru_cache(maxsize=4096)
def work_of(bits: int) -> int:
    """The hashes it takes on average to meet this target."""
    return (1 << 256) // (target_of(bits) + 1)


def next_bits(params: Params, last_bits: int, first_time: int, last_time: int) -> int:
    """The bits of the next period, from the times of this one's first and last block.

    The span between these two covers 2015 intervals and is measured against 2016: the chain's own quirk.
    """
    span = min(max(last_time - first_time, _PERIOD_SECONDS // 4), _PERIOD_SECONDS * 4)
    target = target_of(last_bits) * span // _PERIOD_SECONDS
    return bits_of(min(target, target_of(params.pow_limit_bits)))


def median_time_past(times: Sequence[int]) -> int:
    """The median of the last eleven of these times (of all where there are fewer)."""
    last = sorted(times[-MEDIAN_SPAN:])
    return last[len(last) // 2]


def validate_headers(
    params: Params, *, start_height: int, raws: Sequence[bytes], before: Callable[[int], bytes]
) -> int:
    """The total work of a branch of headers that begins at `start_height` (1 or more).

    `Malformed` names the height and the rule where it breaks one. `before` gives an earlier header of
    the same branch by height: the one before is asked, up to 11 back, and 2016 back for a retarget.
    """
    if start_height < 1:
        raise Malformed("the genesis block is a constant and no part of a branch")

    def header_at(height: int) -> bytes:
        return raws[height - start_height] if height >= start_height else before(height)

    last = before(start_height - 1)
    link = sha256d(last)
    _, time, bits = _RULED(last)
    heights = range(max(0, start_height - MEDIAN_SPAN), start_height - 1)
    times = [*(_RULED(before(height))[1] for height in heights), time]
    work = 0
    for height, raw in enumerate(raws, start_height):
        try:
            due = _bits_due(params, height, bits, header_at)
            link, time, bits = _check_header(params, raw, link, due, times)
        except Malformed as broken:
            raise Malformed(f"{params.network} header {height}: {broken}") from None
        times.append(time)
        work += work_of(bits)
    return work


def validate_chunk(
    params: Params,
    start_height: int,
    raws: Sequence[bytes],
    *,
    previous_hash: BlockHash,
    last_hash: BlockHash,
) -> None:
    """Return if these headers link from `previous_hash` to `last_hash` (a checkpoint's), else `Malformed`.

    The hash they end in vouches for them all, so nothing else is checked.
    """
    if not raws:
        raise Malformed(f"{params.network}: no headers where some from height {start_height} were due")
    link = bytes.fromhex(previous_hash)[::-1]
    for height, raw in enumerate(raws, start_height):
        if len(raw) != HEADER_SIZE or raw[4:36] != link:
            raise Malformed(f"{params.network} header {height}: it does not link to the block before")
        link = sha256d(raw)
    if display(link) != last_hash:
        last_height = start_height + len(raws) - 1
        raise Malformed(f"{params.network} header {last_height}: it is not the checkpoint's block")


def _check_size(raw: bytes) -> None:
    if len(raw) != HEADER_SIZE:
        raise Malformed(f"{len(raw)} bytes, and a header has {HEADER_SIZE}")


def _bits_due(params: Params, height: int, last_bits: int, header_at: Callable[[int], bytes]) -> int | None:
    """The bits a header must state, or None where it may state any up to the limit."""
    match params.bits_rule:
        case BitsRule.RETARGET:
            if height % PERIOD:
                return last_bits
            first_time, last_time = (_RULED(header_at(at))[1] for at in (height - PERIOD, height - 1))
            return next_bits(params, last_bits, first_time, last_time)
        case BitsRule.STATED:
            return None
        case BitsRule.LIMIT:
            return params.pow_limit_bits
        case _:
            assert_never(params.bits_rule)


def _check_header(
    params: Params, raw: bytes, link: bytes, due: int | None, times: Sequence[int]
) -> tuple[bytes, int, int]:
    """The digest, time and bits of the header after `link`, if it obeys the rules."""
    _check_size(raw)
    stated_link, time, bits = _RULED(raw)
    if stated_link != link:
        raise Malformed("it does not link to the block before")
    if due is None:
        if target_of(bits) > target_of(params.pow_limit_bits):
            raise Malformed("its target is easier than the network's limit")
    elif bits != due:
        raise Malformed(f"it states bits {bits:08x}, and {due:08x} are due")
    # a private chain's clock is set by whoever plays with it
    if params.bits_rule is not BitsRule.LIMIT and time <= median_time_past(times):
        raise Malformed("its time is not after the median of the eleven before")
    digest = sha256d(raw)
    if int.from_bytes(digest, "little") > target_of(bits):
        raise Malformed("its hash does not meet its target")
    return digest, time, bits
