"""A history's rows as records and as CSV, under the column names that spreadsheets get."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from watcher.core.fiat import shown
from watcher.core.instants import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watcher.bitcoin.types import Sats
    from watcher.ledger.history import HistoryRow

COLUMNS: Final = (
    "height",
    "block_hash",
    "block_time_utc",
    "txid",
    "kind",
    "flow",
    "amount_sats",
    "amount_btc",
    "balance_sats",
    "balance_btc",
    "fiat_currency",
    "fiat_rate",
    "fiat_rate_time_utc",
    "trust",
    "note",
)
# a minus before a figure is a figure; before anything else it may start a formula
_FIGURES: Final = frozenset({"amount_sats", "amount_btc", "balance_sats", "balance_btc", "height"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def btc(sats: Sats) -> str:
    """Satoshis as an exact decimal with eight places."""
    sign = "-" if sats < 0 else ""
    whole, rest = divmod(abs(sats), 100_000_000)
    return f"{sign}{whole}.{rest:08d}"


def record(row: HistoryRow) -> dict[str, Any]:
    """A row by column, amounts exact, None where there is nothing to say."""
    price = row.price
    return {
        "height": row.height,
        "block_hash": row.block_hash,
        "block_time_utc": row.block_time,
        "txid": row.txid,
        "kind": row.kind,
        "flow": row.flow,
        "amount_sats": row.amount_sats,
        "amount_btc": btc(row.amount_sats),
        "balance_sats": row.balance_sats,
        "balance_btc": None if row.balance_sats is None else btc(row.balance_sats),
        "fiat_currency": None if price is None else price.currency,
        "fiat_rate": None if price is None else shown(price),
        "fiat_rate_time_utc": None if not price or not price.as_of_ms else rfc3339(price.as_of_ms),
        "trust": row.trust,
        "note": row.note,
    }


def csv_header() -> str:
    """The first line of the CSV."""
    return _lines([COLUMNS])


def csv_lines(rows: Iterable[HistoryRow]) -> str:
    """Rows as RFC 4180 lines; text that a spreadsheet would run as a formula is defused by an apostrophe."""
    return _lines([_cell(column, value) for column, value in record(row).items()] for row in rows)


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _cell(column: str, value: object) -> object:
    if column not in _FIGURES and isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def within(since: str | None, until: str | None) -> Callable[[HistoryRow], bool]:
    """Whether a row's block time lies between two instants (both included, None: open).

    What is in no block yet is later than any instant; a baseline without a time is before all.
    """

    def keep(row: HistoryRow) -> bool:
        if row.height is None:
            return until is None
        time = row.block_time or ""
        return (since is None or time >= since) and (until is None or time <= until)

    return keep
