"""Everything that reads bytes from the network, with right frames and what it may do with any others.

`read` returns for a frame that it accepts and raises one of `refusals` for one that it does not; it
asserts of what it accepts that no law of ours is broken: nothing false has become a fact.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.toy.answers import Answers
from tests.toy.chain import FAUCET, ToyChain
from tests.toy.coding import scripthash
from tests.toy.faults import Faults
from tests.toy.keys import Key, SegwitKey
from watcher.bitcoin.headers import HEADER_SIZE, parse_header
from watcher.bitcoin.merkle import check_branch
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.signatures import Verdict, judge_spend
from watcher.bitcoin.transactions import TxOutput, parse_transaction
from watcher.bitcoin.types import MAX_SATS, Malformed
from watcher.observe.our_chain import OurChain
from watcher.observe.proving import checked
from watcher.sources import explorer_answers, wire
from watcher.sources.base import SourceError
from watcher.sources.certificates import ends_at
from watcher.sources.jsonrpc import MAX_BATCH, Answer, Lines, Notification, Refusal, decode
from watcher.sources.refusals import refused
from watcher.web.problem import ApiError
from watcher.web.requests import bound, cursor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watcher.bitcoin.types import Outpoint
    from watcher.sources.base import Branch, Claim, SourceTip

_HASH: Final = re.compile("[0-9a-f]{64}").fullmatch
_HIGHEST: Final = 2**31 - 1
_SATS: Final = 50_000


@dataclass(frozen=True)
class Parser:
    """How one reader is fed."""

    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = (SourceError,)
    binary: bool = False


def _text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class _World:
    """A chain with a payment in a block of seven, one that waits, and spends of a key in either form."""

    def __init__(self) -> None:
        self.chain = ToyChain()
        self.legacy, self.segwit = Key(7), SegwitKey(8, _SATS)
        for key in (self.legacy, self.segwit):
            self.chain.pay(key.script, _SATS)
        for sats in range(4):
            self.chain.pay(b"\x00\x14" + b"\x01" * 20, 10_000 + sats)
        self.chain.mine()
        self.height = self.chain.height
        self.paid = self.chain.blocks[-1].txids[2]
        self.chain.pay(self.legacy.script, 1_000)
        self.answers = Answers(self.chain, Faults())


WORLD: Final = _World()
_RAW: Final = WORLD.chain.transactions[WORLD.paid].raw
_PAID: Final = parse_transaction(_RAW)
_MERKLE: Final = WORLD.answers.merkle(WORLD.paid, WORLD.height)
_ROOT: Final = parse_header(WORLD.chain.blocks[-1].header).merkle_root
_HEADERS: Final = tuple(block.header for block in WORLD.chain.blocks)
_TIP: Final = WORLD.answers.tip()
_LINE: Final = [
    {"tx_hash": WORLD.paid, "height": WORLD.height},
    {"tx_hash": "c3" * 32, "height": WORLD.height, "fee": 7},
    {"tx_hash": "a1" * 32, "height": 0, "fee": 200},
    {"tx_hash": "b2" * 32, "height": -1},
]


# -- framing ------------------------------------------------------------------------------------------


def _frames(frame: bytes) -> None:
    for line in Lines(limit=20_000).feed(frame + b"\n"):
        messages = decode(line)
        assert len(messages) <= MAX_BATCH
        for message in messages:
            match message:
                case Answer(one, _):
                    assert type(one) is int
                case Notification(method, _):
                    method.encode()  # no half of a surrogate pair
                case Refusal(one, code, text):
                    assert one is None or type(one) is int
                    assert type(code) is int
                    assert text.isascii()
                    assert text.isprintable()
                    assert isinstance(refused(message), SourceError)


# -- Electrum -----------------------------------------------------------------------------------------


def _version(frame: bytes) -> None:
    software, protocol = wire.read_version(msgspec.Raw(frame))
    assert software.isascii()
    assert protocol.startswith("1.")


def _is_tip(tip: SourceTip) -> None:
    assert 0 <= tip.block.height <= _HIGHEST
    assert len(tip.header) == HEADER_SIZE
    assert parse_header(tip.header).hash == tip.block.hash


def _headers(frame: bytes) -> None:
    headers, _more = wire.read_headers(msgspec.Raw(frame), 20)
    assert len(headers) <= 20
    assert all(len(header) == HEADER_SIZE for header in headers)


def _status(frame: bytes) -> None:
    status = wire.read_status(msgspec.Raw(frame))
    assert status is None or _HASH(status)


def _are_claims(claims: Sequence[Claim]) -> None:
    assert len({claim.txid for claim in claims}) == len(claims)
    heights = [claim.height for claim in claims if claim.height is not None]
    assert heights == sorted(heights)
    assert all(type(height) is int and 0 < height <= _HIGHEST for height in heights)
    assert all(_HASH(claim.txid) for claim in claims)


def _history(frame: bytes) -> None:
    claims, status = wire.read_history(msgspec.Raw(frame))
    _are_claims(claims)
    assert (status is None) == (not claims)


def _only_the_paid(raw: bytes) -> None:
    """Whatever hashes to the id asked for is that transaction."""
    assert checked(WORLD.paid, raw).stripped == _RAW


def _proves_only_the_place(branch: Branch) -> None:
    try:
        check_branch(_PAID, branch.index, branch.siblings, _ROOT)
    except Malformed:
        return
    assert (branch.index, list(branch.siblings)) == (_MERKLE["pos"], _MERKLE["merkle"])


# -- bytes --------------------------------------------------------------------------------------------


def _transaction(frame: bytes) -> None:
    tx = parse_transaction(frame)
    assert tx.raw == frame
    assert 0 <= sum(output.sats for output in tx.outputs) <= MAX_SATS
    assert len({spend.outpoint for spend in tx.inputs}) == len(tx.inputs)


def _branch_of_headers(frame: bytes) -> None:
    """A branch on our chain is taken only where it is the chain's own."""
    ours = OurChain(PARAMS[Network.REGTEST], 0, _HEADERS[:-3])
    raws = [frame[at : at + HEADER_SIZE] for at in range(0, len(frame), HEADER_SIZE)]
    change = ours.extend(len(_HEADERS) - 3, raws)
    if change is not None:
        # another nonce has the work by chance every second time on a private chain; the links hold
        assert change.new_tip.height == len(_HEADERS) - 4 + len(raws)
        for earlier, later in zip((_HEADERS[-4], *raws), raws, strict=False):
            assert parse_header(later).previous == parse_header(earlier).hash


def _spends() -> Mapping[bytes, Mapping[Outpoint, TxOutput]]:
    found: dict[bytes, Mapping[Outpoint, TxOutput]] = {}
    for key in (WORLD.legacy, WORLD.segwit):
        coin = next(c for c, sats in WORLD.chain.unspent(key.script).items() if sats == _SATS)
        raw = key.spend(coin, [(FAUCET, _SATS - 500)]).raw
        found[raw] = {coin: TxOutput(_SATS, key.script)}
    return found


_SPENDS: Final = _spends()
_SIGNED: Final = {
    (tx.inputs[0].outpoint, tx.inputs[0].sequence, tx.outputs, tx.version, tx.lock_time)
    for tx in map(parse_transaction, _SPENDS)
}


def _signed_spend(frame: bytes) -> None:
    """What is taken for rightly signed spends what was signed, to where it was signed."""
    tx = parse_transaction(frame)
    for coins in _SPENDS.values():
        mine = [at for at, spend in enumerate(tx.inputs) if spend.outpoint in coins]
        if mine and judge_spend(frame, mine, coins) is Verdict.VALID:
            spend = tx.inputs[mine[0]]
            assert (spend.outpoint, spend.sequence, tx.outputs, tx.version, tx.lock_time) in _SIGNED


# -- explorers ----------------------------------------------------------------------------------------


def _page(frame: bytes) -> None:
    for entry in explorer_answers.read_page(frame):
        assert _HASH(entry.txid)
        assert entry.height is None or type(entry.height) is int


def _counts(frame: bytes) -> None:
    assert all(type(count) is int and 0 <= count <= _HIGHEST for count in explorer_answers.read_counts(frame))


def _block(frame: bytes) -> None:
    height, header = explorer_answers.read_block(frame)
    assert type(height) is int
    assert len(header) == HEADER_SIZE


def _blocks(frame: bytes) -> None:
    assert all(len(header) == HEADER_SIZE for header in explorer_answers.read_blocks(frame, WORLD.height))


def _is_block(at: int) -> dict[str, Any]:
    header = WORLD.chain.blocks[at].header
    parsed = parse_header(header)
    return {
        "id": parsed.hash,
        "height": at,
        "version": int.from_bytes(header[:4], "little"),
        "timestamp": parsed.time,
        "merkle_root": parsed.merkle_root,
        "bits": parsed.bits,
        "nonce": int.from_bytes(header[76:], "little"),
        "previousblockhash": parsed.previous,
    }


def _shown(txid: str, height: int | None) -> dict[str, Any]:
    place: dict[str, Any] = {"confirmed": height is not None}
    if height is not None:
        place |= {"block_height": height, "block_hash": "0f" * 32}
    return {"txid": txid, "status": place, "vin": [{"txid": "ee" * 32, "vout": 0}]}


_PEM: Final = (Path(__file__).parents[1] / "toy" / "tls" / "expired.pem").read_text()
CERTIFICATE: Final = ssl.PEM_cert_to_DER_cert(_PEM[_PEM.index("-----BEGIN CERTIFICATE") :])
_STATUS: Final = WORLD.answers.status(scripthash(WORLD.legacy.script))
_NOTE: Final = {"method": "blockchain.scripthash.subscribe", "params": ["ab" * 32, _STATUS]}
_COUNTS: Final = {"chain_stats": {"tx_count": 5}, "mempool_stats": {"tx_count": 1}}

PARSERS: Final[Mapping[str, Parser]] = {
    "frames": Parser(
        (
            _text({"jsonrpc": "2.0", "id": 7, "result": _LINE[:2]}),
            _text({"id": 8, "error": {"code": -101, "message": "excessive resource usage"}}),
            _text([{"id": 1, "result": None}, {"id": 2, "result": "é\U0001f600"}]),
            _text(_NOTE) + b"\n" + _text({"id": 9, "error": "history too large", "result": None}),
        ),
        _frames,
    ),
    "electrum-version": Parser((_text(["ElectrumX 1.18.0", "1.4.3"]), _text(["Toy", "1.6"])), _version),
    "electrum-tip": Parser((_text(_TIP),), lambda frame: _is_tip(wire.read_tip(msgspec.Raw(frame)))),
    "electrum-told-tip": Parser(
        (_text([_TIP]),), lambda frame: _is_tip(wire.read_told_tip(msgspec.Raw(frame)))
    ),
    "electrum-told-script": Parser(
        (_text(_NOTE["params"]), _text(["ab" * 32, None])),
        lambda frame: wire.read_told_script(msgspec.Raw(frame)),
    ),
    "electrum-headers": Parser(
        (
            _text(WORLD.answers.headers(0, 3, as_list=True)),
            _text(WORLD.answers.headers(0, 3, as_list=False)),
        ),
        _headers,
    ),
    "electrum-status": Parser((_text(_STATUS), b"null"), _status),
    "electrum-history": Parser((_text(_LINE), _text(_LINE[:2]), b"[]"), _history),
    "electrum-transaction": Parser(
        (_text(_RAW.hex()),),
        lambda frame: _only_the_paid(wire.read_transaction(msgspec.Raw(frame))),
    ),
    "electrum-branch": Parser(
        (_text(_MERKLE),),
        lambda frame: _proves_only_the_place(wire.read_branch(msgspec.Raw(frame), WORLD.height)),
    ),
    "transaction": Parser(
        (_RAW, *_SPENDS, WORLD.chain.transactions[WORLD.chain.blocks[5].txids[0]].raw),
        _transaction,
        (Malformed,),
        binary=True,
    ),
    "signed-spend": Parser(tuple(_SPENDS), _signed_spend, (Malformed,), binary=True),
    "branch-of-headers": Parser(
        (b"".join(_HEADERS[-3:]), _HEADERS[-3]), _branch_of_headers, (Malformed,), binary=True
    ),
    "explorer-hash": Parser((b"ab" * 32, b"ab" * 32 + b"\n"), explorer_answers.read_hash),
    "explorer-page": Parser(
        (_text([_shown("a1" * 32, None), _shown("b2" * 32, 9), _shown("c3" * 32, 8)]),), _page
    ),
    "explorer-counts": Parser((_text(_COUNTS),), _counts),
    "explorer-block": Parser((_text(_is_block(WORLD.height)),), _block),
    "explorer-blocks": Parser((_text([_is_block(WORLD.height), _is_block(WORLD.height - 1)]),), _blocks),
    "explorer-block-status": Parser(
        (_text({"in_best_chain": True, "height": 7}),), explorer_answers.read_in_best_chain
    ),
    "explorer-txids": Parser((_text(["ab" * 32, "cd" * 32]),), explorer_answers.read_places),
    "explorer-transaction": Parser(
        (_RAW.hex().encode(), _RAW.hex().encode() + b"\n"),
        lambda frame: _only_the_paid(explorer_answers.read_transaction(frame)),
    ),
    "explorer-branch": Parser(
        (_text(_MERKLE),),
        lambda frame: _proves_only_the_place(explorer_answers.read_branch(frame, WORLD.height)),
    ),
    "certificate": Parser((CERTIFICATE,), ends_at, (), binary=True),
    "request-cursor": Parser(
        (b"log-1:17", b"A_b:999999999999999999"),
        lambda frame: cursor_of(frame.decode("utf-8", "surrogateescape")),
        (ApiError,),
    ),
    "request-instant": Parser(
        (b"2026-11-24", b"2026-11-24T10:00:00Z", b"2026-11-24T10:00:00.5Z"),
        lambda frame: bound(frame.decode("utf-8", "surrogateescape"), end=True),
        (ValueError,),
    ),
}  # fmt: skip
