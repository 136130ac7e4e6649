"""The treasuries that come with the package: complete, cited, and only what their owners published."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from watcher.config.load import catalogue
from watcher.core.claims import Covers, Says

if TYPE_CHECKING:
    from .conftest import Folder

NAMES = ["bitfinex", "el-salvador", "pakistan", "sentinel-1a1zp1", "sentinel-1feexv", "twenty-one", "ukraine"]


def _raw(name: str) -> dict[str, Any]:
    return tomllib.loads(catalogue()[name].read_text(encoding="utf-8"))


def test_all_of_it_is_valid_at_once(folder: Folder) -> None:
    assert list(catalogue()) == NAMES
    config = folder.load(f"catalogue = {NAMES}\n")
    assert [treasury.name for treasury in config.treasuries] == NAMES
    assert {treasury.name: len(treasury.scripts) for treasury in config.treasuries} == {
        "bitfinex": 3,
        "el-salvador": 20,
        "pakistan": 0,
        "sentinel-1a1zp1": 1,
        "sentinel-1feexv": 1,
        "twenty-one": 3,
        "ukraine": 1,
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_entry_says_who_published_it_where_when_read_and_under_which_licence(name: str) -> None:
    raw = _raw(name)
    assert raw["name"] == name
    assert set(raw) >= {"title", "attribution"}
    for watch in raw.get("watch", []):
        assert set(watch) >= {"source", "read", "licence", "label"}
        assert "by" in watch or name.startswith("sentinel")
    for claim in raw.get("claims", []):
        assert set(claim) >= {"by", "quote", "source", "role"}
    head = catalogue()[name].read_text(encoding="utf-8").splitlines()[0]
    assert "Not affiliated" in head
    assert "CC0" in head


def test_what_came_through_other_hands_says_so(folder: Folder) -> None:
    treasury = folder.load('catalogue = ["el-salvador"]\n').treasuries[0]
    first, *others = treasury.scripts
    assert (first.address, first.provenance.label) == (
        "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo",
        "first public wallet",
    )
    assert {script.provenance.label for script in others} == {
        "transcribed by third parties, not yet compared with bitcoin.gob.sv"
    }
    assert len(others) == 19


def test_the_press_claim_of_july_2025_is_there(folder: Folder) -> None:
    claims = {claim.id: claim for claim in folder.load('catalogue = ["el-salvador"]\n').treasuries[0].claims}
    claim = claims["press-2025-07-18"]
    assert (claim.says, claim.sats, claim.as_of) == (Says.AT_LEAST, 624_000_000_000, date(2025, 7, 18))
    assert claim.quote == "over 6,240 BTC worth approximately USD 745 million"
    that_day = sorted(claim.sats for claim in claims.values() if claim.as_of == date(2025, 8, 29))
    assert that_day == [btc * 100_000_000 for btc in (6_274, 6_280, 6_284, 6_286)]


def test_a_treasury_may_have_claims_and_nothing_to_watch(folder: Folder) -> None:
    treasury = folder.load('catalogue = ["pakistan"]\n').treasuries[0]
    assert treasury.initial_scripts == ()
    assert [claim.covers for claim in treasury.claims] == [Covers.EVERYTHING]


def test_sentinels_are_named_by_their_addresses(folder: Folder) -> None:
    for treasury in folder.load('catalogue = ["sentinel-1a1zp1", "sentinel-1feexv"]\n').treasuries:
        assert treasury.title == f"{treasury.scripts[0].address} (sentinel)"
