"""A history as samples that the real promtool makes blocks of."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.stack import fetch
from watcher.cli.openmetrics import STEP_SECONDS, openmetrics
from watcher.core.instants import rfc3339_seconds

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400
NOON = 1_700_049_600  # a multiple of the step


def row(
    time: int | None, balance: int | None, *, kind: str = "transaction", amount: int = 1
) -> dict[str, Any]:
    at = None if time is None else rfc3339_seconds(time)
    return {"block_time_utc": at, "balance_sats": balance, "kind": kind, "amount_sats": amount}


def samples(*rows: dict[str, Any], since: int | None = None, until: int) -> list[tuple[int, int]]:
    """(time, value), as a parser reads them."""
    text = "".join(
        openmetrics("alpha", rows, since=None if since is None else rfc3339_seconds(since), until=until)
    )
    (family,) = text_string_to_metric_families(text)
    assert all(s.labels == {"treasury": "alpha", "position": "confirmed"} for s in family.samples)
    return [(int(float(s.timestamp)), int(s.value)) for s in family.samples]


def test_the_balance_is_told_at_every_step_from_the_first_change_on() -> None:
    told = samples(row(NOON + 1, 5), row(NOON + 3 * STEP_SECONDS, 7), until=NOON + 5 * STEP_SECONDS)
    assert told == [(NOON + n * STEP_SECONDS, sats) for n, sats in ((1, 5), (2, 5), (3, 7), (4, 7))]


def test_times_that_go_back_are_taken_forward() -> None:
    rows = [row(NOON, 5), row(NOON + 2 * STEP_SECONDS, 7), row(NOON + STEP_SECONDS, 9)]
    assert samples(*rows, until=NOON + 3 * STEP_SECONDS) == [
        (NOON, 5),
        (NOON + STEP_SECONDS, 5),
        (NOON + 480, 9),
    ]


def test_what_is_not_known_or_in_no_block_is_not_told() -> None:
    rows = [row(NOON - DAY, 3), row(NOON, 8, kind="baseline", amount=5), row(None, 99), row(NOON, None)]
    assert samples(*rows, until=NOON + STEP_SECONDS) == [(NOON, 8)]


def test_since_an_instant_the_balance_of_before_goes_on() -> None:
    assert samples(row(NOON - DAY, 3), since=NOON, until=NOON + STEP_SECONDS) == [(NOON, 3)]


def test_nothing_is_a_whole_exposition_too() -> None:
    assert "".join(openmetrics("alpha", [], since=None, until=NOON)).endswith("gauge\n# EOF\n")


@pytest.mark.real
def test_promtool_makes_blocks_of_it(tmp_path: Path) -> None:
    text = openmetrics("alpha", [row(NOON - 3 * DAY, 5), row(NOON - DAY, 12)], since=None, until=NOON)
    (tmp_path / "history.om").write_text("".join(text))
    promtool = fetch.monitoring().promtool

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            [promtool, "tsdb", *words], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("create-blocks-from", "openmetrics", tmp_path / "history.om", tmp_path / "data")
    (tmp_path / "data/wal").mkdir()  # as in the folder of a Prometheus that has run
    dumped = [line.rsplit(" ", 2)[1:] for line in run("dump", tmp_path / "data").splitlines()]
    assert len(dumped) == 3 * DAY // STEP_SECONDS
    assert {float(value) for value, at in dumped if int(at) < (NOON - DAY) * 1000} == {5}
    assert {float(value) for value, at in dumped if int(at) >= (NOON - DAY) * 1000} == {12}
