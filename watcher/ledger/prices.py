"""What a bitcoin cost on the days of the history, kept so that it says the same without the network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from watcher.core.fiat import Rate

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from datetime import date

_IN_FORCE: Final = "fiat"


@dataclass(frozen=True, slots=True)
class InForce:
    """The currency of the config, and its rate where that is fixed."""

    currency: str
    fixed: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a day; no rate: the service has none. Settled: it was asked when the day was over."""

    rate: Rate | None
    settled: bool


def put_in_force(connection: sqlite3.Connection, fiat: InForce | None) -> None:
    """From here on the history is valued in this currency, or in none."""
    if fiat is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (_IN_FORCE,))
    else:
        value = json.dumps([fiat.currency, fiat.fixed])
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_IN_FORCE, value))


def first_day(connection: sqlite3.Connection) -> date | None:
    """The day of the first transaction in a block, by height; None where there is none."""
    row = connection.execute(
        "SELECT block_time AS time FROM transactions WHERE block_height IS NOT NULL"
        " ORDER BY block_height LIMIT 1"
    ).fetchone()
    return None if row is None or row["time"] is None else datetime.fromtimestamp(row["time"], UTC).date()


def kept_prices(connection: sqlite3.Connection, currency: str, days: Collection[str]) -> dict[str, Kept]:
    """What is known of these days (`2026-11-24`); a day that was never asked for is not in it."""
    keys = {_key(currency, day): day for day in days}
    rows = connection.execute(
        "SELECT m.key, m.value FROM json_each(?) j JOIN meta m ON m.key = j.value", (json.dumps(list(keys)),)
    )
    found: dict[str, Kept] = {}
    for row in rows:
        rate, as_of_ms, settled = json.loads(row["value"])
        known = None if rate is None else Rate(currency, Decimal(rate), as_of_ms)
        found[keys[row["key"]]] = Kept(known, settled)
    return found


def keep_price(connection: sqlite3.Connection, currency: str, day: str, kept: Kept) -> None:
    """Keep what is known of that day."""
    rate = kept.rate
    value = [None, None, kept.settled] if rate is None else [str(rate.rate), rate.as_of_ms, kept.settled]
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_key(currency, day), json.dumps(value))
    )


def prices_of(connection: sqlite3.Connection, days: Collection[str]) -> dict[str, Rate]:
    """What is known, in the currency of the config; a fixed rate is that of every day, and has no time."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_IN_FORCE,)).fetchone()
    if row is None:
        return {}
    currency, fixed = json.loads(row["value"])
    if fixed is not None:
        return dict.fromkeys(days, Rate(currency, Decimal(fixed), 0))
    kept = kept_prices(connection, currency, days)
    return {day: found.rate for day, found in kept.items() if found.rate is not None}


def _key(currency: str, day: str) -> str:
    return f"price:{currency}:{day}"
