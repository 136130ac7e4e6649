"""`at=HEIGHT|DATE`: a balance as it was at the end of a block or of a UTC day, the same answer for ever.

The answer changes only where a reorganisation reaches so deep or the watch list itself changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from watcher.core.instants import rfc3339_seconds
from watcher.ledger import earlier
from watcher.web.problem import ApiError, bad_request

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aiohttp import web

    from watcher.bitcoin.types import Sats
    from watcher.ledger.queries import TreasuryRow

_HEIGHT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of a block, or of a UTC `day` (then `height` is its last block, as far as headers are kept).

    `time` is the block's, in seconds, None where its header is not kept.
    """

    height: int
    time: int | None
    day: date | None

    @property
    def text(self) -> str:
        """As it was asked for."""
        return str(self.height) if self.day is None else self.day.isoformat()


def asked(request: web.Request) -> int | date | None:
    """`at` of a request; None where it is not given."""
    text = request.query.get("at")
    if text is None:
        return None
    if _HEIGHT.fullmatch(text):
        return int(text)
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise bad_request("at is a block's height or a UTC day, as in 2026-11-24", "bad-at")


def resolve(connection: sqlite3.Connection, rows: Sequence[TreasuryRow], at: int | date) -> Moment:
    """The moment meant; 404 where not every one of these treasuries is read that far."""
    if isinstance(at, date):
        height = earlier.end_of_day(connection, at)
        if height is None:
            raise _not_yet("that day is not over by the time of the blocks")
        moment = Moment(height, earlier.block_at(connection, height), at)
    else:
        moment = Moment(at, earlier.block_at(connection, at), None)
    known = [row.complete.height for row in rows if row.complete is not None and row.confirmed is not None]
    if moment.height > min(known, default=-1):
        raise _not_yet("the balance is not known up to that block")
    return moment


def _not_yet(detail: str) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, detail, kind="not-yet")


def at_view(row: TreasuryRow, moment: Moment, confirmed: Sats | None) -> dict[str, Any]:
    """A treasury as it was then, as the API tells it; the balance is null where it is not known."""
    return {
        "name": row.name,
        "title": row.title,
        "attribution": row.attribution,
        "at": {
            "height": moment.height,
            "time": None if moment.time is None else rfc3339_seconds(moment.time),
            "day": None if moment.day is None else moment.day.isoformat(),
        },
        "balance_sats": None if confirmed is None else {"confirmed": confirmed},
    }
