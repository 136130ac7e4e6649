"""The metrics of claims, conditions, single addresses and the price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.core.claims import Holds, NotJudged
from watcher.web.samples import gauge, info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from watcher.core.claims import ClaimState
    from watcher.web.snapshot import Snapshot


def figure_families(snapshot: Snapshot) -> Iterator[Metric]:
    """All of them; a family of which nothing is known has no samples."""
    yield from _claims(snapshot.claims)
    active = dict.fromkeys(snapshot.conditions, 0) | dict.fromkeys(snapshot.ledger.conditions, 1)
    yield gauge("watcher_condition_active", active)
    yield from _addresses(snapshot)
    price = snapshot.price
    yield gauge("watcher_bitcoin_price", {} if price is None else {(price.currency,): float(price.rate)})
    yield gauge(
        "watcher_bitcoin_price_timestamp_seconds",
        {} if price is None else {(price.currency,): price.as_of_ms / 1000},
    )


def _claims(claims: tuple[ClaimState, ...]) -> Iterator[Metric]:
    yield info(
        "watcher_treasury_claim_info",
        [
            (s.treasury, s.claim.id, s.claim.by or "", s.claim.role, str(s.claim.says), str(s.claim.as_of))
            for s in claims
        ],
    )
    yield gauge("watcher_treasury_claim_satoshis", {(s.treasury, s.claim.id): s.claim.sats for s in claims})
    yield gauge(
        "watcher_treasury_claim_observed_satoshis", {(s.treasury, s.claim.id): s.observed for s in claims}
    )
    yield gauge(
        "watcher_treasury_claim_holds",
        {
            (s.treasury, s.claim.id): None
            if isinstance(s.verdict, NotJudged)
            else int(isinstance(s.verdict, Holds))
            for s in claims
        },
    )


def _addresses(snapshot: Snapshot) -> Iterator[Metric]:
    found = snapshot.addresses
    yield gauge("watcher_address_balance_satoshis", {} if found is None else found.sats)
    yield gauge("watcher_address_balances_omitted", {(): None if found is None else found.omitted})
