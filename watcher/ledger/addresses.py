"""What each address holds, for those who publish addresses as labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from watcher.ledger.queries import last_sequence, one_moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from watcher.bitcoin.types import Sats

MOST: Final = 1_000  # CONTRACT


class AddressKey(NamedTuple):
    """An address of a treasury's list."""

    treasury: str
    address: str


@dataclass(frozen=True, slots=True)
class AddressBalances:
    """The confirmed balances of the first `MOST` addresses read, and how many more there are."""

    sequence: int
    sats: Mapping[AddressKey, Sats]
    omitted: int


def address_balances(connection: sqlite3.Connection, previous: AddressBalances | None) -> AddressBalances:
    """As they are now, in the order of the list; `previous` is kept while the log has not grown."""
    with one_moment(connection):
        sequence = last_sequence(connection)
        if previous is not None and previous.sequence == sequence:
            return previous
        rows = connection.execute(
            """SELECT w.treasury, w.address,
                 (SELECT coalesce(sum(o.received - o.spent), 0)
                  -- CROSS JOIN keeps SQLite to this order: else it walks the whole book for each address
                  FROM touches o CROSS JOIN entries e ON e.treasury = w.treasury AND e.tx = o.tx
                  WHERE o.script = w.script AND e.state = 'confirmed') AS sats
               FROM watches w
               WHERE w.removed_ms IS NULL AND w.baselined = 1 AND w.address IS NOT NULL
               ORDER BY w.id LIMIT ?""",
            (MOST,),
        ).fetchall()
        listed = connection.execute(
            """SELECT count(*) FROM watches
               WHERE removed_ms IS NULL AND baselined = 1 AND address IS NOT NULL"""
        ).fetchone()[0]
        sats = {AddressKey(row["treasury"], row["address"]): row["sats"] for row in rows}
        return AddressBalances(sequence, sats, listed - len(sats))
