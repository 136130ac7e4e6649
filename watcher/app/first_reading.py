"""What is no fact: each source's own figure while all is read for the first time, and what too few show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.scripts import scripthash
from watcher.web.snapshot import SourceFigure, Waiting

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from watcher.bitcoin.types import ScriptHash, Txid
    from watcher.ledger.reader import Reader
    from watcher.observe.watch import Watch

_MOST_WAITING: Final = 50
# beyond them there is a count and no figure: adding up takes longer than a page may
_MOST_SCRIPTS: Final = 10_000
_MOST_LINES: Final = 50_000  # of history, on which not all have said the same


async def figures(watch: Watch, reader: Reader, treasury: str) -> tuple[SourceFigure, ...]:
    """One for each source that may be asked for the treasury, in the order of the config."""
    scripts = {script for script, name in watch.listing.treasuries.items() if name == treasury}
    unread = scripts & watch.listing.unread
    names = watch.quorum.may_learn(treasury)
    told = {name: watch.told(name, scripts) for name in names}
    disputed = set().union(*(said.keys() for said in told.values()))
    # of the others: what a source has not told of, though another may have
    silent = {name: unread - disputed - watch.attendants[name].said.read.keys() for name in names}
    read = {name: len(scripts) - len(disputed) - len(silent[name]) + len(told[name]) for name in names}
    lines = sum(len(txids) for said in told.values() for txids in said.values())
    if len(scripts) > _MOST_SCRIPTS or lines > _MOST_LINES:
        return tuple(SourceFigure(name, read[name], len(scripts), None) for name in names)

    def work(connection: sqlite3.Connection) -> tuple[SourceFigure, ...]:
        sums = {
            name: _agreed(connection, treasury, sorted(disputed | silent[name]))
            + _sum(connection, told[name])
            for name in names
        }
        return tuple(SourceFigure(name, read[name], len(scripts), sums[name]) for name in names)

    return await reader.run(work)


def _agreed(connection: sqlite3.Connection, treasury: str, without: Sequence[ScriptHash]) -> int:
    """What is on the other scripts of the treasury."""
    row = connection.execute(
        """SELECT coalesce(sum(o.received - o.spent), 0)
           FROM watches w JOIN scripts s ON s.id = w.script JOIN touches o ON o.script = s.id
             JOIN transactions t ON t.id = o.tx
           WHERE w.treasury = ? AND w.removed_ms IS NULL AND t.block_height IS NOT NULL
             AND s.scripthash NOT IN (SELECT value FROM json_each(?))""",
        (treasury, json.dumps(without)),
    ).fetchone()
    return int(row[0])


def _sum(connection: sqlite3.Connection, said: dict[ScriptHash, frozenset[Txid]]) -> int:
    """What is on these scripts by these transactions."""
    lines = [(script, txid) for script, txids in said.items() for txid in txids]
    row = connection.execute(
        """SELECT coalesce(sum(o.received - o.spent), 0)
           FROM json_each(?) j JOIN scripts s ON s.scripthash = json_extract(j.value, '$[0]')
             JOIN transactions t ON t.txid = json_extract(j.value, '$[1]')
             JOIN touches o ON o.script = s.id AND o.tx = t.id
           WHERE t.block_height IS NOT NULL""",
        (json.dumps(lines),),
    ).fetchone()
    return int(row[0])


def waiting(watch: Watch, treasury: str) -> tuple[Waiting, ...]:
    """The treasury's candidates: what too few have shown to be a fact. The oldest first."""
    ours = {script for script, name in watch.listing.treasuries.items() if name == treasury}
    found = []
    for candidate in watch.candidates:
        if ours.isdisjoint(candidate.scripts):
            continue
        tx, parents = candidate.sighting.tx, candidate.sighting.parents
        received = sum(output.sats for output in tx.outputs if scripthash(output.script_pubkey) in ours)
        coins = [parents[spend.outpoint] for spend in tx.inputs if spend.outpoint in parents]
        spent = sum(coin.sats for coin in coins if scripthash(coin.script_pubkey) in ours)
        found.append(Waiting(tx.txid, received - spent, tuple(sorted(candidate.sources))))
        if len(found) == _MOST_WAITING:
            break
    return tuple(found)
