"""The bench itself runs: its cheapest rows, small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.company import company
from tests.bench.deliveries import deliveries
from tests.bench.ledger_writes import ledger_writes
from tests.bench.restarting import restarting
from tests.bench.result import Result

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


async def test_rows_are_measured_written_and_read_again(tmp_path: Path) -> None:
    rows = [
        await ledger_writes(tmp_path, events=40, at_once=20, repeats=2),
        await deliveries(tmp_path, events=50, repeats=1),
        await restarting(tmp_path, scripts=20, payments=40, repeats=1),
        *await company(tmp_path / "company", rows=300, events=10, repeats=1),
    ]
    assert [len(row.ratios) for row in rows] == [2, 1, 1, 1, 10]
    assert all(figure > 0 for row in rows for figure in (*row.ours, *row.theirs))
    result = Result({"cores": 2}, rows)
    result.write(tmp_path / "build" / "bench.json")
    assert Result.read(tmp_path / "build" / "bench.json") == result
