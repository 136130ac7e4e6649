"""A limit that is harder to reach is a loosened rule: whoever moves it is told on."""

from __future__ import annotations

import pytest

from watcher.app.difference import Outline, difference


def outline(on: list[str], days: int | None, limit: int | None, wait: float) -> Outline:
    rule = {
        "on": on,
        "treasuries": ["*"],
        "min_sats": 0,
        "at": ["seen"],
        "severity": "warning",
        "send_to": ["ops"],
        "rest": [days, limit, wait],
    }
    return {"digest": "", "treasuries": {}, "rules": {"low": rule}, "endpoints": ["ops"]}


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ((["balance_below"], None, 100, 0), (["balance_below"], None, 99, 0), "loosened"),
        ((["balance_below"], None, 100, 0), (["balance_below"], None, 101, 0), "changed"),
        ((["balance_above"], None, 100, 0), (["balance_above"], None, 101, 0), "loosened"),
        ((["balance_above"], None, 100, 0), (["balance_above"], None, 99, 0), "changed"),
        ((["claim_mismatch"], None, None, 0), (["claim_mismatch"], None, None, 600), "loosened"),
        ((["claim_mismatch"], None, None, 600), (["claim_mismatch"], None, None, 0), "changed"),
        ((["dormant"], 30, None, 0), (["dormant"], 31, None, 0), "loosened"),
        ((["dormant"], 31, None, 0), (["dormant"], 30, None, 0), "changed"),
        ((["outflow"], None, None, 0), (["balance_below", "outflow"], None, 5, 0), "changed"),
    ],
)
def test_a_limit_that_is_harder_to_reach_is_loosened(
    before: tuple[list[str], int | None, int | None, float],
    after: tuple[list[str], int | None, int | None, float],
    change: str,
) -> None:
    changes, quieter = difference(outline(*before), outline(*after))
    assert changes == [{"what": "rule", "name": "low", "change": change}]
    assert quieter is (change == "loosened")
