"""The honest toy server, as in tests/daemon."""

from __future__ import annotations

from tests.daemon.conftest import toy

__all__ = ["toy"]
