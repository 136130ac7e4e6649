"""The honest toy server, as in tests/daemon, and the small disk of tests/ledger."""

from __future__ import annotations

from tests.daemon.conftest import toy
from tests.ledger.conftest import small_disk

__all__ = ["small_disk", "toy"]
