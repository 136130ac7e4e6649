"""Electrum's status hash."""

from typing import Any

from watcher.bitcoin.status import status_hash
from watcher.bitcoin.types import Txid


def example_of(electrum_examples: Any) -> tuple[list[tuple[Txid, int]], str]:
    example = electrum_examples["status_example"]
    return [(line["tx_hash"], line["height"]) for line in example["history"]], example["status"]


def test_the_documented_history_has_the_documented_status(electrum_examples: Any) -> None:
    history, status = example_of(electrum_examples)
    assert status_hash(history) == status


def test_no_history_has_no_status() -> None:
    assert status_hash([]) is None


def test_another_order_or_height_is_another_status(electrum_examples: Any) -> None:
    history, status = example_of(electrum_examples)
    assert status_hash(history[::-1]) != status
    assert status_hash([*history[:-1], (history[-1][0], 0)]) != status
    assert status_hash(history[:-1]) != status
