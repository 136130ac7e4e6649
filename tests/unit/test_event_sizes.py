"""A body stays under 20 kB, whatever labels, scripts of strangers and lists of changes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from watcher.app.difference import told_difference
from watcher.bitcoin.networks import Network
from watcher.bitcoin.transactions import TxOutput
from watcher.bitcoin.types import BlockHash, BlockRef, ScriptHash
from watcher.core.events import Event, base, money_data
from watcher.core.known import Flow, Member
from watcher.core.meaning import Destination, Meaning, Movement
from watcher.core.payload import body, canonical, envelope
from watcher.core.rules import Notice
from watcher.core.rules_types import Severity
from watcher.delivery.texts.message import Room, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.core.events import Data

ANCHOR = BlockRef(1, BlockHash("00" * 32))
TAPROOT = b"\x51\x20"  # the longest addresses there are
MOST_SATS = 2_100_000_000_000_000
NAME = "n" * 64


def script(number: int, size: int) -> bytes:
    """A taproot script, or a longer one that has no address."""
    return TAPROOT + number.to_bytes(32, "big") if size == 34 else b"\x6a" + bytes(size - 1)


def outflow(movements: int, label: str | None, destinations: Sequence[bytes], others: int) -> Data:
    """A transaction's part of an event, each amount as long as amounts get."""
    moved = tuple(
        Movement(
            Member("alpha", ScriptHash(f"{n:064x}"), script(n, 34), "a" * 64, label, ANCHOR, True, True),
            -MOST_SATS + n,
        )
        for n in range(movements)
    )
    paid = tuple(Destination(TxOutput(MOST_SATS - n, to), None) for n, to in enumerate(destinations))
    counterparties = tuple((NAME, MOST_SATS) for _ in range(others))
    meaning = Meaning(
        Flow.OUTFLOW, -MOST_SATS, MOST_SATS, MOST_SATS, True, moved, paid, counterparties, 0, True
    )
    return money_data(meaning, Network.MAINNET, 1_800_000_000_000)


def sent(data: Data) -> int:
    """The bytes of the body of a delivery that says this, and all else that a body can say."""
    rest: Data = {
        **base(
            event_id="evt_" + "0" * 32,
            log="0" * 16,
            sequence=2**53,
            incident="inc_" + "0" * 32,
            network=Network.TESTNET4,
            treasury=NAME,
        ),
        "txid": "0" * 64,
        "by": "0" * 64,
        "block": {"height": 10**7, "hash": "0" * 64, "time": "2026-11-24T10:00:00Z"},
        "sources": [NAME] * 8,
        "supersedes": "evt_" + "0" * 32,
    }
    event = Event("evt", 1, "tx.replaced", 0, NAME, None, "inc_" + "0" * 32, Flow.OUTFLOW, {**rest, **data})
    notice = Notice("ops", "evt", event, "confirmed", Severity.CRITICAL, (NAME,) * 8)
    return len(body(notice, "https://watch.example").encode())


@pytest.mark.parametrize(
    "label", [None, "first public wallet", "\N{MONEY BAG}" * 500], ids=["none", "short", "long"]
)
@pytest.mark.parametrize("size", [34, 10_000], ids=["taproot", "strange"])
@pytest.mark.parametrize("count", [1, 50, 3_000])
def test_a_transaction_fits_and_what_is_left_out_is_counted(label: str | None, size: int, count: int) -> None:
    data: dict[str, Any] = outflow(count, label, [script(n, size) for n in range(count)], count)
    assert sent(data) < 20_000
    for told, sign in (("movements", -1), ("destinations", 1)):
        omitted = data.get(f"{told}_omitted", {"count": 0, "amount_sats": 0})
        assert 1 <= len(data[told]) <= 50
        assert len(data[told]) + omitted["count"] == count
        amounts = [entry["amount_sats"] for entry in data[told]]
        assert sorted(amounts, key=abs, reverse=True) == amounts  # the largest are told
        assert sum(amounts) + omitted["amount_sats"] == sign * sum(MOST_SATS - n for n in range(count))


def test_fifty_ordinary_ones_are_told_one_by_one() -> None:
    data: dict[str, Any] = outflow(60, "first public wallet", [script(n, 34) for n in range(60)], 0)
    assert (len(data["movements"]), len(data["destinations"])) == (50, 50)
    assert data["movements_omitted"]["count"] == 10


def test_a_thousand_changed_treasuries_fit_and_what_was_taken_away_is_told_first() -> None:
    added = [{"what": "treasury", "name": f"{n:064}", "change": "added"} for n in range(1_000)]
    quieter = {"what": "rule", "name": "theft", "change": "loosened"}
    told: dict[str, Any] = told_difference([*added, quieter])
    assert told["difference"][0] == quieter
    assert len(told["difference"]) + told["difference_omitted"]["count"] == 1_001
    assert sent(told) < 20_000
    assert told_difference([*added[:2], quieter]) == {"difference": [quieter, *added[:2]]}
    read = Texts("en", {}).message([canonical(envelope("config.changed", 0, told))], Room(20_000))
    assert "theft LOOSENED" in read.title
    assert "… (1001)" in read.body  # people are told how many there are, not how many are listed
