"""Movements that somebody has announced, and which outflows are among them.

An outflow is what was announced when every output pays an announced address, the treasury itself or
nobody, and all such outflows together pay the announced addresses no more than was said. An incident
counts once, so that a replacement takes the place of what it replaces. One that was recognised stays so
after the time is over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.bitcoin.scripts import is_unspendable, scripthash
from watcher.bitcoin.transactions import parse_transaction
from watcher.core.events import RUNG_EVENTS
from watcher.core.known import Flow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from watcher.bitcoin.transactions import TxOutput
    from watcher.bitcoin.types import Sats
    from watcher.core.events import Event


@dataclass(frozen=True, slots=True)
class Announcement:
    """Up to `most` in all from `treasury` to these scripts, seen no later than `until_ms`."""

    treasury: str
    scripts: tuple[bytes, ...]
    most: Sats
    until_ms: int


def keep(connection: sqlite3.Connection, announced: Announcement, sequence: int) -> None:
    """Remember what the event of that sequence announced."""
    connection.execute(
        "INSERT INTO expectations (treasury, scripts, most_sats, until_ms, sequence) VALUES (?, ?, ?, ?, ?)",
        (
            announced.treasury,
            json.dumps([script.hex() for script in announced.scripts]),
            announced.most,
            announced.until_ms,
            sequence,
        ),
    )


class Expectations:
    """Asked once for each event that a commit tells; recognising an outflow is written down."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def recognise(self, event: Event) -> bool:
        """Whether the event tells of an outflow that was announced."""
        if event.flow is not Flow.OUTFLOW or event.type not in RUNG_EVENTS:
            return False
        open_ones = self._connection.execute(
            """SELECT * FROM expectations e WHERE e.treasury = ? AND (e.until_ms >= ? OR EXISTS (
                 SELECT 1 FROM expected x WHERE x.expectation = e.id AND x.incident = ?)) ORDER BY e.id""",
            (event.treasury, event.at_ms, event.incident),
        ).fetchall()
        if not open_ones:
            return False
        row = self._connection.execute(
            "SELECT raw FROM transactions WHERE txid = ?", (event.txid,)
        ).fetchone()
        outputs = parse_transaction(row["raw"]).outputs
        own = self._own(event.treasury, outputs)
        for expectation in open_ones:
            paid = self._fitting(expectation, event.incident, outputs, own)
            if paid is not None:
                self._connection.execute(
                    """INSERT OR REPLACE INTO expected (expectation, txid, incident, sats)
                       VALUES (?, ?, ?, ?)""",
                    (expectation["id"], event.txid, event.incident, paid),
                )
                return True
        return False

    def was_recognised(self, event: Event) -> bool:
        """Whether the event tells of an outflow that was recognised when it was told."""
        if event.flow is not Flow.OUTFLOW or event.type not in RUNG_EVENTS:
            return False
        found = self._connection.execute(
            """SELECT 1 FROM expected x JOIN expectations e ON e.id = x.expectation
               WHERE x.incident = ? AND x.txid = ? AND e.sequence < ?""",
            (event.incident, event.txid, event.sequence),
        ).fetchone()
        return found is not None

    def _own(self, treasury: str | None, outputs: Sequence[TxOutput]) -> frozenset[bytes]:
        """Which of the outputs pay the treasury itself, by the watch list as it is now."""
        rows = self._connection.execute(
            """SELECT s.script_pubkey FROM json_each(?) j JOIN scripts s ON s.scripthash = j.value
               JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL WHERE w.treasury = ?""",
            (json.dumps([scripthash(output.script_pubkey) for output in outputs]), treasury),
        )
        return frozenset(row["script_pubkey"] for row in rows)

    def _fitting(
        self,
        expectation: sqlite3.Row,
        incident: str | None,
        outputs: Sequence[TxOutput],
        own: frozenset[bytes],
    ) -> Sats | None:
        """What these outputs pay of the announced amount; None where they are not what was announced."""
        announced = {bytes.fromhex(text) for text in json.loads(expectation["scripts"])}
        if any(
            o.script_pubkey not in announced | own and not is_unspendable(o.script_pubkey) for o in outputs
        ):
            return None
        paid = sum(o.sats for o in outputs if o.script_pubkey in announced)
        others = self._connection.execute(
            """SELECT coalesce(sum(most), 0) FROM (SELECT max(sats) AS most FROM expected
               WHERE expectation = ? AND incident <> ? GROUP BY incident)""",
            (expectation["id"], incident),
        ).fetchone()[0]
        return paid if others + paid <= expectation["most_sats"] else None
