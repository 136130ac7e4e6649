"""What of the config the page shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from watcher.core.claims import Claim


@dataclass(frozen=True, slots=True)
class TreasuryTerms:
    """What the ledger does not know of a treasury: what is claimed, and when its addresses were read."""

    claims: tuple[Claim, ...] = ()
    read: date | None = None


@dataclass(frozen=True, slots=True)
class PageTerms:
    """`lang` is en or es; `addresses`: they may be shown; `explorer` and `external_url` may be empty."""

    lang: str = "en"
    addresses: bool = True
    explorer: str = ""
    external_url: str = ""
    treasuries: Mapping[str, TreasuryTerms] = field(default_factory=dict)
