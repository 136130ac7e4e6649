"""A history as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`.

Prometheus takes a gauge for gone five minutes after its last sample, so the balance is told every few
minutes and not only where it changed. Before the first complete reading it is not known, and not told.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from watcher.web.series import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from watcher.bitcoin.types import Sats

STEP_SECONDS: Final = 240
# what is younger may be in Prometheus already, and its blocks must not overlap
SETTLED_SECONDS: Final = 3 * 3_600
_METRIC: Final = "watcher_treasury_balance_satoshis"


def openmetrics(
    treasury: str, rows: Iterable[Mapping[str, Any]], *, since: str | None, until: float
) -> Iterator[str]:
    """The confirmed balance, every `STEP_SECONDS`, up to `until` (Unix seconds), in lines.

    `rows` are those of the history from its beginning on; `since` is an instant, None for all of it.
    """
    yield f"# HELP {_METRIC} {SERIES[_METRIC].help}\n# TYPE {_METRIC} gauge\n"
    start = float("-inf") if since is None else datetime.fromisoformat(since).timestamp()
    points = _points(rows)
    for number, (time, balance) in enumerate(points, 1):
        following = points[number][0] if number < len(points) else until
        first = -(-int(max(time, start)) // STEP_SECONDS) * STEP_SECONDS
        for at in range(first, int(min(following, until)), STEP_SECONDS):
            yield f'{_METRIC}{{treasury="{treasury}",position="confirmed"}} {balance} {at}\n'
    yield "# EOF\n"


def _points(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, Sats]]:
    """From which time on there was how much; the times of blocks made to go forward."""
    points: list[tuple[int, Sats]] = []
    for row in rows:
        if row["block_time_utc"] is None or row["balance_sats"] is None:
            continue
        if row["kind"] == "baseline" and row["amount_sats"]:
            # it holds what no transaction explains: nobody knows since when that was there
            points.clear()
        time = int(datetime.fromisoformat(row["block_time_utc"]).timestamp())
        points.append((max([time, *(at for at, _ in points[-1:])]), row["balance_sats"]))
    return points
