"""The watch list as part of the record: what enters it and what leaves it, with the balance concerned."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from watcher.core.events import LISTED
from watcher.ledger.restate import Change, restate

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.core.events import Data, Event
    from watcher.core.known import Terms


_AT_ONCE: Final = 1_000  # scripts in one call, which lets no other thread work


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A script as the config lists it, with its provenance and the wallet it was derived from, if any.

    There are 100,000 at once: the garbage collector, which stops every thread, need not look at any.
    """

    scripthash: ScriptHash
    script_pubkey: bytes
    address: str | None
    label: str | None
    published: str | None
    published_by: str | None
    source: str | None
    read: str | None = None
    licence: str | None = None
    wallet: str | None = None


class _Present(msgspec.Struct, frozen=True, gc=False):
    """A watch's row, and the hash of what is told of it: most of a long list stays as it is."""

    id: int
    told: int


@dataclass(frozen=True, slots=True)
class TreasuryList:
    """A treasury as the config lists it."""

    name: str
    title: str
    attribution: str
    scripts: Sequence[Listed]


def listed(connection: sqlite3.Connection) -> set[tuple[str, ScriptHash]]:
    """(treasury, scripthash) of everything on the ledger's list."""
    rows = connection.execute(
        """SELECT w.treasury, s.scripthash FROM watches w JOIN scripts s ON s.id = w.script
           WHERE w.removed_ms IS NULL"""
    )
    return {(row["treasury"], row["scripthash"]) for row in rows}


def sync(
    connection: sqlite3.Connection, terms: Terms, lists: Sequence[TreasuryList], at_ms: int
) -> tuple[Event, ...]:
    """Make the ledger's watch list the config's, and tell what left and what entered."""
    if _is_recorded(connection, lists):
        return ()
    events: list[Event] = []
    wanted = {t.name: {s.scripthash for s in t.scripts} for t in lists}
    present = {
        (row["treasury"], row["scripthash"]): _Present(row["id"], hash(tuple(row)[3:]))
        for row in connection.execute(
            """SELECT w.id, w.treasury, s.scripthash,
                 w.address, w.label, w.published, w.published_by, w.source, w.read, w.licence
               FROM watches w JOIN scripts s ON s.id = w.script WHERE w.removed_ms IS NULL"""
        )
    }
    for treasury in sorted({t for t, _ in present}):
        still = wanted.get(treasury, set())
        gone = [w.id for (name, script), w in present.items() if name == treasury and script not in still]
        if gone:
            events += _remove(connection, Change(terms, treasury, at_ms, len(events)), gone)
    connection.execute("UPDATE treasuries SET listed = 0")
    for treasury_list in lists:
        added = _add(connection, treasury_list, present)
        if added and any(treasury == treasury_list.name for treasury, _ in present):
            change = Change(terms, treasury_list.name, at_ms, len(events))
            which = _which(len(added), ((s.address, s.scripthash) for s in added[:LISTED]))
            events += restate(connection, change, "watch.added", which, ())
    # one by one: no other thread could work while 100,000 are freed at once
    while present:
        present.popitem()
    for scripts in wanted.values():
        while scripts:
            scripts.pop()
    return tuple(events)


def _is_recorded(connection: sqlite3.Connection, lists: Sequence[TreasuryList]) -> bool:
    """Whether this very list was the last one; if not, it is from here on.

    Most starts find the list as it was, and comparing a hundred thousand scripts one by one takes a second.
    """
    hashed = hashlib.sha256()
    for each in lists:
        hashed.update(msgspec.json.encode((each.name, each.title, each.attribution, len(each.scripts))))
        for start in range(0, len(each.scripts), _AT_ONCE):
            hashed.update(msgspec.json.encode(each.scripts[start : start + _AT_ONCE]))
    digest = hashed.hexdigest()
    row = connection.execute("SELECT value FROM meta WHERE key = 'list'").fetchone()
    if row is not None and row["value"] == digest:
        return True
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('list', ?)", (digest,))
    return False


def _add(
    connection: sqlite3.Connection, listed: TreasuryList, present: dict[tuple[str, ScriptHash], _Present]
) -> list[Listed]:
    """New watches wait for their anchor, the first tip known, and for their first reading; which."""
    connection.execute(
        """INSERT INTO treasuries (name, title, attribution) VALUES (?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET
             title = excluded.title, attribution = excluded.attribution, listed = 1""",
        (listed.name, listed.title, listed.attribution),
    )
    new: list[Listed] = []
    for s in listed.scripts:
        there = present.get((listed.name, s.scripthash))
        if there is None:
            new.append(s)
        elif there.told != hash(_told(s)):
            connection.execute(
                """UPDATE watches SET address = ?, label = ?, published = ?, published_by = ?, source = ?,
                     read = ?, licence = ?
                   WHERE id = ?""",
                (*_told(s), there.id),
            )
    # A script that another treasury gave up is read anew: its history is not in this treasury's book.
    connection.executemany(
        """INSERT INTO scripts (scripthash, script_pubkey) VALUES (?, ?)
           ON CONFLICT (scripthash) DO UPDATE SET status = NULL, read_ms = NULL""",
        ((s.scripthash, s.script_pubkey) for s in new),
    )
    connection.executemany(
        """INSERT INTO watches
             (address, label, published, published_by, source, read, licence, wallet, treasury, script)
           SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, id FROM scripts WHERE scripthash = ?""",
        ((*_told(s), s.wallet, listed.name, s.scripthash) for s in new),
    )
    # A window that runs ahead of its wallet's use begins where the wallet does: what came since is news.
    connection.execute(
        """UPDATE watches SET (anchor_height, anchor_hash) = (
             SELECT o.anchor_height, o.anchor_hash FROM watches o
             WHERE o.treasury = watches.treasury AND o.wallet = watches.wallet AND o.removed_ms IS NULL
               AND o.anchor_height IS NOT NULL ORDER BY o.anchor_height LIMIT 1)
           WHERE treasury = ? AND wallet IS NOT NULL AND anchor_height IS NULL AND removed_ms IS NULL""",
        (listed.name,),
    )
    return new


def _told(s: Listed) -> tuple[str | None, ...]:
    return s.address, s.label, s.published, s.published_by, s.source, s.read, s.licence


def _remove(connection: sqlite3.Connection, change: Change, watches: list[int]) -> list[Event]:
    wanted = json.dumps(watches)
    touched = connection.execute(
        """SELECT DISTINCT e.tx FROM json_each(?) j CROSS JOIN watches w ON w.id = j.value
           CROSS JOIN touches o ON o.script = w.script
           CROSS JOIN entries e ON e.tx = o.tx AND e.treasury = w.treasury AND e.state <> 'left'""",
        (wanted,),
    ).fetchall()
    connection.execute(
        "UPDATE watches SET removed_ms = ? WHERE id IN (SELECT value FROM json_each(?))",
        (change.at_ms, wanted),
    )
    named = connection.execute(
        """SELECT w.address, s.scripthash FROM json_each(?) j CROSS JOIN watches w ON w.id = j.value
           JOIN scripts s ON s.id = w.script ORDER BY w.id LIMIT ?""",
        (wanted, LISTED),
    ).fetchall()
    which = _which(len(watches), ((row["address"], row["scripthash"]) for row in named))
    return restate(connection, change, "watch.removed", which, [row["tx"] for row in touched])


def _which(count: int, named: Iterable[tuple[str | None, str]]) -> Data:
    """How many scripts, and the first of them: by address, where there is none by script hash."""
    addresses = [address or scripthash for address, scripthash in named]
    data: Data = {"scripts": count, "addresses": addresses}
    if count > len(addresses):
        data["addresses_omitted"] = {"count": count - len(addresses)}
    return data
