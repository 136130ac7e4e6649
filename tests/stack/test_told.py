"""A webhook's line begins with its type and flow and fits a screen."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.stack.told import Screen, btc, line

ID = "evt_0123456789abcdef"
TXID = "ab" * 32
BLOCK = {"height": 900_000, "hash": "00" * 32, "time": None}


def payload(kind: str, **data: Any) -> dict[str, Any]:
    told = {
        "id": ID,
        "treasury": "alpha",
        "txid": TXID,
        "amount_sats": -199_999_999,
        "trust": "reported",
    }
    sums = {"balance_sats": {"confirmed": 987_654_321, "pending": -199_999_999}}
    return {"type": kind, "data": {"flow": "outflow", **told, **sums, "block": BLOCK, **data}}


@pytest.mark.parametrize(
    ("kind", "data", "says"),
    [
        ("tx.seen", {"flow": "inflow"}, "unconfirmed"),
        ("tx.confirmed", {}, "block 900000"),
        ("tx.final", {"flow": "internal"}, "block 900000"),
        ("tx.moved", {}, "to block 900000"),
        ("tx.unconfirmed", {}, "left block 900000"),
        ("tx.replaced", {"by": "cd" * 32}, "by cdcdcdcd"),
        ("tx.conflicted", {"by": "cd" * 32}, "by cdcdcdcd"),
        ("tx.dropped", {"reason": "absent"}, "absent"),
    ],
)
def test_a_transaction_begins_with_type_and_flow(kind: str, data: dict[str, Any], says: str) -> None:
    told = line(payload(kind, **data))
    flow = data.get("flow", "outflow")
    assert told.startswith(f"{kind} {flow} ")
    assert says in told
    assert "alpha -1.99999999 BTC  balance  9.87654321 -1.99999999" in told
    assert told.endswith(" evt_01234567")
    assert len(told) <= 120
    assert "\n" not in told


def test_other_events_begin_with_their_type() -> None:
    reorganized = {"id": ID, "treasury": None, "depth": 1, "fork": BLOCK, "new_tip": BLOCK, "old_tip": BLOCK}
    told = line({"type": "chain.reorganized", "data": reorganized})
    assert told.startswith("chain.reorganized ")
    assert "1 block undone after block 900000" in told
    baselined = line(payload("watch.baselined"))
    assert baselined.startswith("watch.baselined ")
    assert "9.87654321" in baselined
    assert "home" in line({"type": "source.failed", "data": {"id": ID, "treasury": None, "source": "home"}})


def test_a_balance_nobody_may_quote_yet_is_blank() -> None:
    assert "balance" not in line(payload("tx.seen", balance_sats=None))


def test_amounts_are_exact() -> None:
    assert btc(2_099_999_999_999_999) == "20999999.99999999"
    assert btc(1, "+") == "+0.00000001"
    assert btc(-100_000_000, "+") == "-1.00000000"


@pytest.mark.parametrize(("coloured", "escapes"), [(True, 2), (False, 0)])
def test_a_screen_cuts_and_colours_only_where_asked(*, coloured: bool, escapes: int) -> None:
    out = io.StringIO()
    Screen(out, 78, coloured=coloured).webhook(payload("tx.confirmed"))
    written = out.getvalue()
    assert written.count("\x1b") == escapes
    assert len(written.removeprefix("\x1b[31m").removesuffix("\x1b[0m\n").removesuffix("\n")) == 78
