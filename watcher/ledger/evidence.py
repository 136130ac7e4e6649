"""What a report about a treasury is made of, read from the ledger at one moment: nothing of it is a clock's.

It is the present reading of the past: what was taken back is not in it, and scripts that have left the
watch list are not either.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.headers import header_hash
from watcher.bitcoin.networks import Network
from watcher.ledger.earlier import end_of_day
from watcher.ledger.queries import one_moment
from watcher.ledger.version import VERSION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from watcher.bitcoin.types import Sats

_FOLLOWING: Final = 6  # headers kept behind each block with a transaction: their work lies on it


class NoEvidenceError(Exception):
    """There is none for that moment; the text says why."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A confirmed transaction: `raw` without witness, `siblings` from leaf to root in display order.

    `amount` is what it did to the treasury, `balance` what was there after it.
    """

    txid: str
    raw: bytes
    height: int
    place: int
    block_time: int
    siblings: tuple[str, ...]
    flow: str
    amount: Sats
    balance: Sats


@dataclass(frozen=True, slots=True)
class Source:
    """A script of the list, who published it, and what it held at the report's block.

    `since` is the block at which it entered the list. `address` is None where the script has none.
    """

    script_pubkey: bytes
    address: str | None
    label: str | None
    published: str | None
    published_by: str | None
    source: str | None
    read: str | None
    licence: str | None
    since: int | None
    sats: Sats


@dataclass(frozen=True, slots=True)
class Complete:
    """By whose word no transaction is missing, up to which block."""

    height: int
    hash: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A treasury at a block; `day` where a UTC day was asked for, whose last block it is.

    `unexplained` is what was there at the first reading and no transaction accounts for. `headers` are by
    height: of each block with a transaction, of some that follow each, and of the block itself, if kept.
    `complete` is None for a moment in the past: what is known of it now would be another tomorrow.
    """

    network: Network
    name: str
    title: str
    attribution: str
    height: int
    day: date | None
    balance: Sats
    unexplained: Sats
    transactions: tuple[Proof, ...]
    addresses: tuple[Source, ...]
    headers: Mapping[int, bytes]
    complete: Complete | None

    @property
    def hash(self) -> str | None:
        """The block's, where its header is kept."""
        header = self.headers.get(self.height)
        return None if header is None else header_hash(header)

    @property
    def time(self) -> int | None:
        """The time its miner gave the block, in seconds, where its header is kept."""
        header = self.headers.get(self.height)
        return None if header is None else int.from_bytes(header[68:72], "little")


def evidence(connection: sqlite3.Connection, treasury: str, at: int | date | None) -> Evidence:
    """The evidence at the end of a block or UTC day; None: at the block up to which the balance is complete.

    `NoEvidenceError` where the balance is not known there, or the ledger is of an older version still.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
        raise NoEvidenceError("its ledger is of an older version: `watcher run` brings it up to date")
    with one_moment(connection):
        row = connection.execute("SELECT * FROM treasuries WHERE name = ?", (treasury,)).fetchone()
        if row is None or row["baselined_ms"] is None or row["complete_height"] is None:
            raise NoEvidenceError(_unread(connection, treasury))
        height = _height(connection, at, row["complete_height"])
        explained, anchor = _book(connection, treasury)
        unexplained = row["confirmed"] - explained
        if unexplained and height < anchor:
            raise NoEvidenceError(f"its balance is not known before block {anchor}, where it was first read")
        network = Network(_meta(connection, "network"))
        transactions = tuple(_transactions(connection, treasury, height, unexplained))
        return Evidence(
            network=network,
            name=treasury,
            title=row["title"],
            attribution=row["attribution"],
            height=height,
            day=at if isinstance(at, date) else None,
            balance=transactions[-1].balance if transactions else unexplained,
            unexplained=unexplained,
            transactions=transactions,
            addresses=tuple(_addresses(connection, treasury, height, network)),
            headers=_headers(connection, {proof.height for proof in transactions}, height),
            complete=None if at is not None else _complete(row),
        )


def _unread(connection: sqlite3.Connection, treasury: str) -> str:
    if connection.execute("SELECT 1 FROM watches WHERE treasury = ?", (treasury,)).fetchone() is None:
        return "no address of it is watched: there is nothing to prove"
    return "its balance is not known: it was not yet read in full"


def _height(connection: sqlite3.Connection, at: int | date | None, complete: int) -> int:
    height = end_of_day(connection, at) if isinstance(at, date) else at
    if at is None:
        return complete
    if height is None:
        raise NoEvidenceError("that day is not over by the time of the blocks")
    if height < 0:
        raise NoEvidenceError("that day lies before the chain")
    if height > complete:
        raise NoEvidenceError(f"its balance is complete up to block {complete}, and not yet up to {height}")
    return height


def _book(connection: sqlite3.Connection, treasury: str) -> tuple[Sats, int]:
    """What all confirmed transactions add up to, and the block of the first reading."""
    row = connection.execute(
        """SELECT coalesce(sum(e.amount), 0) AS sats,
             count(*) FILTER (WHERE t.displaced_by IS NOT NULL OR h.raw IS NULL) AS open,
             count(*) FILTER (WHERE t.trust <> 'proven') AS unproven,
             (SELECT json_extract(v.body, '$.anchor.height') FROM events v
              WHERE v.treasury = ?1 AND v.type = 'watch.baselined' ORDER BY v.sequence LIMIT 1) AS anchor
           FROM entries e JOIN transactions t ON t.id = e.tx LEFT JOIN headers h ON h.height = t.block_height
           WHERE e.treasury = ?1 AND e.state = 'confirmed'""",
        (treasury,),
    ).fetchone()
    if row["open"]:
        raise NoEvidenceError("a reorganisation is being read: ask again in a moment")
    if row["unproven"]:
        raise NoEvidenceError(f"transactions that wait for their proof: {row['unproven']}; ask again later")
    return row["sats"], row["anchor"] or 0


def _transactions(
    connection: sqlite3.Connection, treasury: str, height: int, unexplained: Sats
) -> list[Proof]:
    proofs: list[Proof] = []
    balance = unexplained
    for row in connection.execute(
        """SELECT t.txid, t.raw, t.block_height, t.block_index, t.block_time, t.branch, e.flow, e.amount
           FROM entries e JOIN transactions t ON t.id = e.tx
           WHERE e.treasury = ? AND e.state = 'confirmed' AND t.block_height <= ?
           ORDER BY t.block_height, t.block_index""",
        (treasury, height),
    ):
        balance += row["amount"]
        branch = bytes(row["branch"])
        siblings = tuple(branch[i : i + 32][::-1].hex() for i in range(0, len(branch), 32))
        place, time = row["block_index"], row["block_time"]
        proofs.append(
            Proof(
                row["txid"],
                bytes(row["raw"]),
                row["block_height"],
                place,
                time,
                siblings,
                row["flow"],
                row["amount"],
                balance,
            )
        )
    return proofs


def _addresses(connection: sqlite3.Connection, treasury: str, height: int, network: Network) -> list[Source]:
    return [
        Source(
            script_pubkey=bytes(row["script_pubkey"]),
            address=encode_address(bytes(row["script_pubkey"]), network),
            label=row["label"],
            published=row["published"],
            published_by=row["published_by"],
            source=row["source"],
            read=row["read"],
            licence=row["licence"],
            since=row["anchor_height"],
            sats=row["sats"],
        )
        for row in connection.execute(
            """SELECT s.script_pubkey, w.label, w.published, w.published_by, w.source, w.read, w.licence,
                 w.anchor_height, (SELECT coalesce(sum(o.received - o.spent), 0) FROM touches o
                  JOIN entries e ON e.tx = o.tx AND e.treasury = w.treasury AND e.state = 'confirmed'
                  JOIN transactions t ON t.id = o.tx
                  WHERE o.script = w.script AND t.block_height <= ?) AS sats
               FROM watches w JOIN scripts s ON s.id = w.script
               WHERE w.treasury = ? AND w.removed_ms IS NULL AND w.baselined = 1 ORDER BY s.script_pubkey""",
            (height, treasury),
        )
    ]


def _headers(connection: sqlite3.Connection, blocks: set[int], height: int) -> dict[int, bytes]:
    wanted = {n for block in blocks for n in range(block, block + _FOLLOWING) if n <= height} | {height}
    rows = connection.execute(
        """SELECT h.height, h.raw FROM json_each(?) j JOIN headers h ON h.height = j.value
           ORDER BY h.height""",
        (json.dumps(sorted(wanted)),),
    )
    return {row["height"]: bytes(row["raw"]) for row in rows}


def _complete(row: Mapping[str, Any]) -> Complete:
    sources = tuple(json.loads(row["complete_sources"]))
    return Complete(row["complete_height"], row["complete_hash"], sources)


def _meta(connection: sqlite3.Connection, key: str) -> str:
    return str(connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()["value"])
