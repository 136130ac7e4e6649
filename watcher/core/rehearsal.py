"""A movement that did not happen, to see what the rules would say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watcher.bitcoin.types import Sats
    from watcher.core.known import Flow
    from watcher.core.rules_types import Rung


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` None is every rung in turn; `to` is the address that an outflow pays."""

    treasury: str
    flow: Flow
    sats: Sats
    to: str | None = None
    at: Rung | None = None
    oldest_coin_days: int | None = None
    first_spend: bool = False


class UnknownTreasuryError(LookupError):
    """No treasury of this name is in the config."""
