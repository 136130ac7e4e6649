"""The Electrum protocol's questions and answers (spesmilo/electrum-protocol, 1.4 to 1.6).

Method names stand in one table, since 1.7 renames them; Electrum's magic heights live here and nowhere else.
An answer of the wrong shape is `Misbehaved`: its reason names the kind of answer.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec

from watcher.bitcoin.headers import HEADER_SIZE, header_hash
from watcher.bitcoin.status import status_hash
from watcher.bitcoin.types import BlockRef, ScriptHash, Txid
from watcher.sources.base import Branch, Claim, LongHistory, Misbehaved, NotThere, SourceTip, Unavailable
from watcher.sources.jsonrpc import Question
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

PROTOCOLS: Final = ("1.4", "1.6")  # the lowest and the highest we speak

TIP_METHOD: Final = "blockchain.headers.subscribe"
SCRIPT_METHOD: Final = "blockchain.scripthash.subscribe"
TRANSACTION_METHOD: Final = "blockchain.transaction.get"
_METHODS: Final = {
    "version": "server.version",
    "ping": "server.ping",
    "headers": "blockchain.block.headers",
    "unwatch": "blockchain.scripthash.unsubscribe",
    "history": "blockchain.scripthash.get_history",
    "branch": "blockchain.transaction.get_merkle",
}

PING: Final = Question(_METHODS["ping"])
TIP: Final = Question(TIP_METHOD)

_Height = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_HEX64: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_SHORT: Final = 100_000  # bytes: 64 siblings are 5 kB, and everything but lists of entries is shorter
_LONG: Final = 1_000  # lines of a history
_MAX_SIBLINGS: Final = 64  # bounds the list; how deep a tree can be is said where the branch is folded
_Hash = Annotated[str, msgspec.Meta(min_length=64, max_length=64)]


class _Tip(msgspec.Struct, gc=False):
    height: _Height
    hex: str


class _Headers(msgspec.Struct):
    count: _Height
    max: _Height = 0
    hex: str | msgspec.UnsetType = msgspec.UNSET  # up to 1.5
    headers: list[str] | msgspec.UnsetType = msgspec.UNSET  # from 1.6 on


class _Entry(msgspec.Struct, gc=False):
    tx_hash: str
    height: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]


class _Branch(msgspec.Struct):
    merkle: Annotated[list[_Hash], msgspec.Meta(max_length=_MAX_SIBLINGS)]
    pos: _Height
    block_height: _Height


_TIP: Final = msgspec.json.Decoder(_Tip)
_TOLD_TIP: Final = msgspec.json.Decoder(tuple[_Tip])
_TOLD_SCRIPT: Final = msgspec.json.Decoder(tuple[str, str | None])
_HEADERS: Final = msgspec.json.Decoder(_Headers)
_HISTORY: Final = msgspec.json.Decoder(list[_Entry])
_BRANCH: Final = msgspec.json.Decoder(_Branch)
_STATUS: Final = msgspec.json.Decoder(str | None)
_HEX: Final = msgspec.json.Decoder(str)
_VERSION: Final = msgspec.json.Decoder(tuple[str, str])


def ask_version(client_name: str) -> Question:
    """Must be the first question on every connection."""
    return Question(_METHODS["version"], (client_name, PROTOCOLS))


def ask_headers(start: int, count: int) -> Question:
    """So many headers from height `start` on."""
    return Question(_METHODS["headers"], (start, count))


def ask_watch(scripthash: ScriptHash) -> Question:
    """To be told of changes, and the present status."""
    return Question(SCRIPT_METHOD, (scripthash,))


def ask_unwatch(scripthash: ScriptHash) -> Question:
    """No longer to be told (from 1.4.2 on)."""
    return Question(_METHODS["unwatch"], (scripthash,))


def ask_history(scripthash: ScriptHash) -> Question:
    """The whole history, confirmed and unconfirmed."""
    return Question(_METHODS["history"], (scripthash,))


def ask_transaction(txid: Txid) -> Question:
    """The raw transaction."""
    return Question(TRANSACTION_METHOD, (txid,))


def ask_branch(txid: Txid, height: int) -> Question:
    """The Merkle branch of a transaction in the block at that height."""
    return Question(_METHODS["branch"], (txid, height))


def read_version(raw: msgspec.Raw) -> tuple[str, str]:
    """The server's software, escaped, and the protocol it chose; `Unavailable` if we do not speak that."""
    software, protocol = _decoded(_VERSION, raw, "version")
    parts = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(?:\.\d{1,3})?", protocol, re.ASCII)
    lowest, highest = (int(text.split(".")[1]) for text in PROTOCOLS)
    if parts is None or int(parts[1]) != 1 or not lowest <= int(parts[2]) <= highest:
        raise Unavailable(f"it wants to speak protocol {quoted(protocol, limit=20)}")
    return quoted(software, limit=80), protocol


def read_tip(raw: msgspec.Raw) -> SourceTip:
    """The tip in the answer to a header subscription."""
    return _tip(_decoded(_TIP, raw, "header"))


def read_told_tip(params: msgspec.Raw) -> SourceTip:
    """The tip in a notification."""
    return _tip(_decoded(_TOLD_TIP, params, "header")[0])


def read_told_script(params: msgspec.Raw) -> ScriptHash:
    """The script whose status changed, in a notification; the status itself is asked for when needed."""
    scripthash, _status = _decoded(_TOLD_SCRIPT, params, "notification")
    return ScriptHash(scripthash)


def read_headers(raw: msgspec.Raw, asked: int) -> tuple[tuple[bytes, ...], bool]:
    """Raw headers, and whether the server would give no more of them at a time; either protocol's form."""
    told = _decoded(_HEADERS, raw, "header", _SHORT + 2 * asked * (HEADER_SIZE + 5))
    if isinstance(told.headers, list):
        headers = tuple(_unhex(one, "header") for one in told.headers)
    elif isinstance(told.hex, str):
        joined = _unhex(told.hex, "header")
        headers = tuple(joined[at : at + HEADER_SIZE] for at in range(0, len(joined), HEADER_SIZE))
    else:
        raise Misbehaved("header", "an answer without headers")
    if any(len(header) != HEADER_SIZE for header in headers):
        raise Misbehaved("header", f"a header that is not {HEADER_SIZE} bytes")
    if len(headers) != told.count or len(headers) > asked:
        raise Misbehaved("header", f"{len(headers)} headers, {asked} asked for, {told.count} said")
    return headers, 0 < len(headers) == told.max < asked


def read_status(raw: msgspec.Raw) -> str | None:
    """A status hash, or None for a script without a history."""
    status: str | None = _decoded(_STATUS, raw, "status")
    if status is not None and not _HEX64(status):
        raise Misbehaved("status", "a status that is no hash")
    return status


def read_history(raw: msgspec.Raw) -> tuple[Sequence[Claim], str | None]:
    """A history in the server's order, its magic heights (0 and -1: in no block) gone, and its status.

    `NotThere` where a transaction stands both in a block and in none: a server whose mempool lags
    its chain for a moment says that honestly.
    """
    entries = _decoded(_HISTORY, raw, "history", None)
    # JSON has a minus zero, and reads as the height that means unconfirmed
    if any(entry.height == 0 for entry in entries) and b"-0" in memoryview(raw).tobytes():
        raise Misbehaved("history", "a height of minus zero")
    if not all(_HEX64(entry.tx_hash) for entry in entries):
        raise Misbehaved("history", "a transaction id that is no hash")
    _check_order(entries)
    confirmed = {entry.tx_hash for entry in entries if entry.height > 0}
    unconfirmed = {entry.tx_hash for entry in entries if entry.height <= 0}
    if len(confirmed) + len(unconfirmed) != len(entries):
        raise Misbehaved("history", "the same transaction twice")
    if not unconfirmed.isdisjoint(confirmed):
        raise NotThere("a transaction both in a block and in none")
    status = status_hash((Txid(entry.tx_hash), entry.height) for entry in entries)
    if len(entries) > _LONG:
        return LongHistory((one.tx_hash for one in entries), (one.height for one in entries)), status
    return tuple(Claim(Txid(one.tx_hash), one.height if one.height > 0 else None) for one in entries), status


def read_transaction(raw: msgspec.Raw) -> bytes:
    """A raw transaction, not hashed."""
    return _unhex(_decoded(_HEX, raw, "transaction", None), "transaction")


def read_branch(raw: msgspec.Raw, height: int) -> Branch:
    """A Merkle branch as claimed for the block at that height."""
    told = _decoded(_BRANCH, raw, "branch")
    if told.block_height != height:
        raise Misbehaved("branch", "a branch in another block than the one asked about")
    digits = "".join(told.merkle)
    if _unhex(digits, "branch").hex() != digits:  # upper case
        raise Misbehaved("branch", "a branch that is no short list of hashes")
    return Branch(told.pos, tuple(told.merkle))


def _decoded(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw, reason: str, most: int | None = _SHORT) -> T:
    """`most` bounds the answer in bytes, spaces included: decoded it takes several times as much.

    None leaves it to the bound of the line it came in.
    """
    if most is not None and len(raw) > most:
        raise Misbehaved(reason, f"an answer of {len(raw)} bytes, of a kind that has {most} at most")
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Misbehaved(reason, f"not the kind of answer asked for: {quoted(error)}") from None


def _tip(told: _Tip) -> SourceTip:
    header = _unhex(told.hex, "header")
    if len(header) != HEADER_SIZE:
        raise Misbehaved("header", f"a header that is not {HEADER_SIZE} bytes")
    return SourceTip(BlockRef(told.height, header_hash(header)), header)


def _unhex(text: str, reason: str) -> bytes:
    try:
        return unhexlify(text)
    except ValueError:  # binascii.Error, and UnicodeEncodeError for what is not ASCII
        raise Misbehaved(reason, "an answer that is not hexadecimal") from None


def _check_order(entries: Sequence[_Entry]) -> None:
    last = 1
    for entry in entries:
        if entry.height > 0:
            if last <= 0:
                raise Misbehaved("history", "a transaction in a block after one in none")
            if entry.height < last:
                raise Misbehaved("history", "heights that go down")
        last = entry.height
