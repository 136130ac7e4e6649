"""What metrics, page and API show, gathered at one moment and never changed afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watcher.web.distribution import NOTHING, Distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.core.claims import ClaimState
    from watcher.core.fiat import Rate
    from watcher.ledger.addresses import AddressBalances
    from watcher.ledger.figures import ConditionLabels, EventLabels, LedgerFigures


@dataclass(frozen=True, slots=True)
class Identity:
    """Which daemon this is. `state_directory` is absolute and resolved: commands find their daemon by it."""

    version: str
    network: str
    sqlite: str
    log: str
    state_directory: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source's health. `software` and `last_error` are a server's words: escaped and truncated already.

    None stands for what never happened or is not known; a timestamp ages, it is never reset. `caught` is
    the reason of its last quarantine, until it has answered for everything since. `pin` is `sha256:` and
    the hex digits of the certificate it is known by, where that is not an authority's business.
    """

    name: str
    kind: str
    operator: str
    up: bool
    tip_height: int | None = None
    last_success_ms: int | None = None
    connected_ms: int | None = None
    subscriptions: int = 0
    detection_bound_seconds: float | None = None
    certificate_not_after_ms: int | None = None
    clock_skew_seconds: float | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    request_seconds: Distribution = NOTHING
    strikes: Mapping[str, int] = field(default_factory=dict)
    caught: str | None = None
    quarantined_until_ms: int | None = None
    pin: str | None = None
    protocol: str | None = None
    software: str | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many independent sources are asked for, how many there are, and how many of them are fresh."""

    required: int
    independent: int
    fresh: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The config in force: its digest (hex), and how the last reload went."""

    digest: str
    last_reload_successful: bool
    last_reload_success_ms: int


@dataclass(frozen=True, slots=True)
class Stale:
    """Why a treasury is not fresh; the reasons are from a closed list."""

    treasury: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceFigure:
    """What one source has told of a treasury that is being read for the first time: unproven, its own word.

    It has told of `read` of `scripts`; `sats` is what is confirmed on those, None: too much to add up.
    """

    source: str
    read: int
    scripts: int
    sats: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unconfirmed transaction that is no fact, since only these sources show it. `sats` is its net."""

    txid: str
    sats: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole daemon at one moment.

    `ledger` is the last that could be read. `stale` names every treasury that is not fresh; `expected`
    are the counters that stand at zero before their first event; `endpoints` are those of the config;
    `deliveries` counts attempts by (endpoint, outcome); `canaries` has when one last arrived, by endpoint.
    `conditions` are those that stand at zero while they do not hold; `addresses` is None where addresses
    are not to be labels; `price` is the last known, however old.
    """

    identity: Identity
    ledger: LedgerFigures
    settings: Settings
    quorum: Quorum
    writable: bool
    ledger_bytes: int
    free_bytes: int
    loop_lag_seconds: float
    sources: tuple[SourceState, ...] = ()
    stale: tuple[Stale, ...] = ()
    unsupported: Mapping[str, int] = field(default_factory=dict)
    expected: frozenset[EventLabels] = frozenset()
    endpoints: tuple[str, ...] = ()
    deliveries: Mapping[tuple[str, str], int] = field(default_factory=dict)
    detection: Distribution = NOTHING
    delivery: Distribution = NOTHING
    job_failures: Mapping[str, int] = field(default_factory=dict)
    clock_skew_seconds: float | None = None
    canaries: Mapping[str, int] = field(default_factory=dict)
    heartbeat_ms: int | None = None
    claims: tuple[ClaimState, ...] = ()
    conditions: frozenset[ConditionLabels] = frozenset()
    addresses: AddressBalances | None = None
    price: Rate | None = None
    backup_ms: int | None = None
