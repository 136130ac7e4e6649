"""Limits of balances: crossed by the first satoshi, restored 1 % on the other side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.bitcoin.types import MAX_SATS
from watcher.core.balances import Limit, is_crossed, limits
from watcher.core.rules_types import BALANCES, Rule, Severity, Topic

RULE = Rule(
    name="low",
    on=(Topic.BALANCE_BELOW,),
    treasuries=("*",),
    min_sats=0,
    at=("seen",),
    severity=Severity.WARNING,
    send_to=("ops",),
    dormant_days=None,
    btc_sats=1000,
    for_seconds=0,
)
BELOW = Limit("low", Topic.BALANCE_BELOW, "alpha", 1000)
ABOVE = Limit("high", Topic.BALANCE_ABOVE, "alpha", 1000)


def test_a_rule_has_a_limit_for_each_treasury_it_means_and_each_side() -> None:
    both = replace(RULE, name="both", on=(Topic.OUTFLOW, Topic.BALANCE_ABOVE, Topic.BALANCE_BELOW))
    one = replace(RULE, name="one", treasuries=("beta",))
    none = replace(RULE, name="none", on=(Topic.OUTFLOW,), btc_sats=None)
    found = list(limits([both, one, none], ["alpha", "beta"]))
    assert [(limit.rule, str(limit.topic), limit.treasury) for limit in found] == [
        ("both", "balance_above", "alpha"),
        ("both", "balance_above", "beta"),
        ("both", "balance_below", "alpha"),
        ("both", "balance_below", "beta"),
        ("one", "balance_below", "beta"),
    ]
    assert len({(limit.topic, limit.subject) for limit in found}) == len(found)


@pytest.mark.parametrize(
    ("limit", "confirmed", "before", "after"),
    [
        (BELOW, 1000, False, False),
        (BELOW, 999, False, True),
        (BELOW, 1000, True, True),
        (BELOW, 1009, True, True),
        (BELOW, 1010, True, False),
        (BELOW, 1009, False, False),
        (ABOVE, 1000, False, False),
        (ABOVE, 1001, False, True),
        (ABOVE, 991, True, True),
        (ABOVE, 990, True, False),
        (Limit("r", Topic.BALANCE_BELOW, "a", 0), 0, False, False),
        (Limit("r", Topic.BALANCE_ABOVE, "a", 0), 1, False, True),
        (Limit("r", Topic.BALANCE_ABOVE, "a", 0), 0, True, False),
    ],
)
def test_a_limit_is_crossed_at_once_and_restored_one_percent_beyond(
    limit: Limit, confirmed: int, *, before: bool, after: bool
) -> None:
    assert is_crossed(limit, confirmed, before=before) is after


@given(st.sampled_from(sorted(BALANCES)), st.integers(0, MAX_SATS), st.data())
def test_a_quiet_balance_is_judged_the_same_again(topic: Topic, sats: int, data: st.DataObject) -> None:
    """Once judged, judging again changes nothing: otherwise a quiet balance would tell for ever."""
    limit = Limit("r", topic, "alpha", sats)
    near = st.integers(max(0, sats * 97 // 100), sats * 103 // 100 + 3)
    confirmed = data.draw(near)
    for before in (False, True):
        after = is_crossed(limit, confirmed, before=before)
        assert is_crossed(limit, confirmed, before=after) is after
