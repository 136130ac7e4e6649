"""The evidence as an archive: the same bytes for the same evidence, on any machine and at any time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watcher.core.instants import rfc3339_seconds
from watcher.delivery.texts.facts import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.ledger.evidence import Evidence

_PROGRAMS: Final = ("verify.py", "formats.py")
# the earliest that the format knows; a file's own time would be another at each run
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_MODE: Final = 0o100644 << 16
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

_READ_ME: Final = """\
{title}: {balance} satoshis at block {height}, and the evidence for it.

    sha256sum -c SHA256SUMS     nothing was changed since
    python3 -I verify.py        it adds up; read it first, a hundred lines, and formats.py which it uses

statement.json     what is stated
addresses.csv      the scripts it is about, who published each, where and when, when it was read, its licence
transactions.csv   every transaction that paid or spent them, in the order of the chain
transactions/      each as bytes (hexadecimal, without witness): twice through SHA-256 they are its id
branches/          each one's way to the root in its block's header, from the leaf up
headers.csv        headers of those blocks and of the next few, which show the work done on top of them

What this cannot prove: that no transaction is missing, which is by the word of the servers that were asked;
who holds the keys; and that these blocks are in the chain that everybody uses: compare their hashes.
Not affiliated with anybody named in here. Not advice.
"""


def archive(evidence: Evidence) -> bytes:
    """A zip archive; what is in it is listed by SHA256SUMS."""
    files = dict(_files(evidence))
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files["SHA256SUMS"] = sums.encode()
    written = io.BytesIO()
    # stored, since what compression makes of bytes is the library's business
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            packed.writestr(entry, files[name])
    return written.getvalue()


def _files(evidence: Evidence) -> Iterable[tuple[str, bytes]]:
    for program in _PROGRAMS:
        yield program, Path(__file__).with_name(program).read_bytes()
    yield (
        "README.txt",
        _READ_ME.format(
            title=clean(evidence.title), balance=evidence.balance, height=evidence.height
        ).encode(),
    )
    yield "statement.json", _statement(evidence).encode()
    yield "addresses.csv", _addresses(evidence).encode()
    yield "transactions.csv", _transactions(evidence).encode()
    yield (
        "headers.csv",
        _csv(["height", "header"], [[n, raw.hex()] for n, raw in evidence.headers.items()]).encode(),
    )
    for proof in evidence.transactions:
        yield f"transactions/{proof.txid}.hex", f"{proof.raw.hex()}\n".encode()
        yield f"branches/{proof.txid}.txt", "".join(f"{node}\n" for node in proof.siblings).encode()


def _statement(evidence: Evidence) -> str:
    told = {
        "network": str(evidence.network),
        "treasury": evidence.name,
        "title": evidence.title,
        "attribution": evidence.attribution,
        "height": evidence.height,
        "hash": evidence.hash,
        "day": None if evidence.day is None else evidence.day.isoformat(),
        "balance_sats": evidence.balance,
        "unexplained_sats": evidence.unexplained,
        "complete_by_the_word_of": None if evidence.complete is None else list(evidence.complete.sources),
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _addresses(evidence: Evidence) -> str:
    return _csv(
        [
            "address",
            "script_pubkey",
            "label",
            "published",
            "by",
            "source",
            "read",
            "licence",
            "since_height",
            "balance_sats",
        ],
        [
            [
                one.address,
                one.script_pubkey.hex(),
                one.label,
                one.published,
                one.published_by,
                one.source,
                one.read,
                one.licence,
                one.since,
                one.sats,
            ]
            for one in evidence.addresses
        ],
    )


def _transactions(evidence: Evidence) -> str:
    return _csv(
        ["height", "place", "block_time_utc", "txid", "flow", "amount_sats", "balance_sats"],
        [
            [
                one.height,
                one.place,
                rfc3339_seconds(one.block_time),
                one.txid,
                one.flow,
                one.amount,
                one.balance,
            ]
            for one in evidence.transactions
        ],
    )


def _csv(titles: list[str], lines: Iterable[list[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return text.getvalue()


def _cell(value: object) -> object:
    """On one line; what a spreadsheet would run as a formula is defused by an apostrophe."""
    if not isinstance(value, str):
        return value
    value = " ".join(value.splitlines())
    return f"'{value}" if value.startswith(_FORMULA) else value
