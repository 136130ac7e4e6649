"""Fixtures of the delivery tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.delivery.rig import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def ledger_of_a_log(ledger: Ledger) -> Ledger:
    """One that can append events."""
    ledger.transact(lambda c: c.execute("INSERT INTO meta VALUES ('log', 'one'), ('network', 'regtest')"))
    return ledger
