"""What several sources say of a script, taken together."""

from __future__ import annotations

from watcher.bitcoin.types import BlockHash, BlockRef, ScriptHash, Txid
from watcher.core.observation import Reading
from watcher.observe import testimony

SCRIPT = ScriptHash("11" * 32)
TIP = BlockRef(1, BlockHash("aa" * 32))
ONE, TWO = Txid("01" * 32), Txid("02" * 32)


def said(*words: tuple[str, set[Txid], str]) -> testimony.Testimonies:
    """Who has read which transactions on the script, and the status of that."""
    testimonies = testimony.Testimonies()
    for source, txids, status in words:
        testimonies.record(source, Reading(SCRIPT, frozenset(txids), status), TIP)
    return testimonies


def test_the_status_of_all_of_it_is_that_of_a_source_that_has_all_of_it() -> None:
    merged = said(("a", {ONE}, "short"), ("b", {ONE, TWO}, "whole")).merged(SCRIPT, lambda _names: True)
    assert merged == Reading(SCRIPT, frozenset({ONE, TWO}), "whole")


def test_where_no_source_has_all_of_it_it_has_no_sources_status() -> None:
    merged = said(("a", {ONE}, "one"), ("b", {TWO}, "two")).merged(SCRIPT, lambda _names: True)
    assert merged == Reading(SCRIPT, frozenset({ONE, TWO}), testimony.NOBODYS)
