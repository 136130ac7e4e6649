"""Long answers leave the interpreter to what arrives: behind each page there is a pause."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from watcher.web import leisure

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

CSV = "/api/v1/treasuries/alpha/history?format=csv"
# a stream reads the log's end first; what follows the first full page is read at leisure
READS = {CSV: 1, "/api/v1/events/stream?after={log}:0": 2}


@pytest.mark.parametrize("path", READS)
async def test_behind_each_page_there_is_a_pause(
    path: str, serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    await daemon.take_time()
    ledger.sql("BEGIN")
    for n in range(3 * leisure.PAGE):
        ledger.tx("alpha", f"n{n}", (200 + n, 1), "inflow", 1)
        ledger.event("tx.confirmed", "alpha")
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + ? WHERE name = 'alpha'", 3 * leisure.PAGE)
    ledger.sql("COMMIT")
    end = f"{520_000_000 + 3 * leisure.PAGE}" if path == CSV else f"{ledger.log}:{5 + 3 * leisure.PAGE}"
    async with serve() as bound, http.get(bound.url + path.format(log=ledger.log)) as response:
        async for line in response.content:
            if end in line.decode():
                break
    pages = daemon.took[READS[path] :]
    assert len(pages) >= 3
    for (began, ended), (following, _) in list(pairwise(pages))[:2]:
        assert following - ended >= min(3 * (ended - began), 0.1) * 0.99
