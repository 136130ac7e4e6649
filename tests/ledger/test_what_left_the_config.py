"""What was so of a source, a treasury or an endpoint that the config has no more stands no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ledger.test_claims_of_a_day import LIMIT, config
from tests.ledger.test_conditions import NOW, eye_with
from watcher.app.kept import Succession
from watcher.app.relist import FOUND_AT_START, relist
from watcher.app.watchlist import Windows
from watcher.ledger.conditions import Condition, holding, set_condition

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("kind", "begins", "ends", "stays"),
    [
        ("source", "source.failed", "source.recovered", "home"),
        ("disagreement", "source.disagreed", "source.agreed", "home"),
        ("stale", "treasury.stale", "treasury.fresh", "alpha"),
        ("endpoint", "endpoint.failed", "endpoint.recovered", "ops"),
    ],
)
def test_what_left_the_config_is_forgotten_and_what_stayed_is_not(
    kind: str, begins: str, ends: str, stays: str, tmp_path: Path
) -> None:
    eye, settings = eye_with(0)
    for subject in (stays, "left"):
        condition = Condition(kind, subject, begins, ends)
        data: dict[str, object] = {"endpoint": subject, "reason": "timeout"}
        set_condition(eye.connection, settings, condition, data, NOW, holds=True)
    following = config(tmp_path, extra=LIMIT)
    relist(eye.connection, following, Windows(), settings, FOUND_AT_START, NOW + 1, Succession({}))
    assert holding(eye.connection, kind) == {stays}
