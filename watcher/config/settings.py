"""The config as the rest of the program has it: checked, resolved, immutable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.scripts import scripthash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from pathlib import Path

    from watcher.bitcoin.networks import Network
    from watcher.bitcoin.types import Sats, ScriptHash
    from watcher.bitcoin.wallets import Wallet
    from watcher.config.credentials import SecretFile, SecretReference, UrlReference
    from watcher.config.errors import ConfigError
    from watcher.config.models import Attribution, EndpointKind, Lang, LogFormat, SourceKind
    from watcher.config.urls import Listen, Url
    from watcher.config.values import Budget
    from watcher.core.claims import Claim
    from watcher.core.rules_types import Rule


@dataclass(frozen=True, slots=True)
class Http:
    """`external_url` and `explorer` are None where they are empty."""

    listen: Listen
    external_url: Url | None
    public: bool
    read_token: SecretFile | None
    admin_token: SecretFile | None
    explorer: Url | None


@dataclass(frozen=True, slots=True)
class Quorum:
    """Independent sources asked for; what is in force is capped per treasury."""

    sources: int


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds."""

    reread: float
    stale_after: float
    dropped_after: float


@dataclass(frozen=True, slots=True)
class Canary:
    """Seconds between two canaries."""

    every: float


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A source; `operator` None means the registrable domain, and `pin` is a SHA-256 of 64 hex digits."""

    name: str
    kind: SourceKind
    url: UrlReference
    trusted: bool
    operator: str | None
    tls: str
    pin: str | None
    proxy: Url | None
    budgets: tuple[Budget, ...]
    headers: SecretFile | None


class Provenance(NamedTuple):
    """Who published what is watched, where and when it was read, and when it counts.

    Membership is half-open: from a height or UTC instant on, and before another; None is always.
    """

    label: str | None = None
    published: date | None = None
    by: str | None = None
    source: str | None = None
    read: date | None = None
    licence: str | None = None
    member_from: int | datetime | None = None
    member_until: int | datetime | None = None


class WatchedScript(msgspec.Struct, frozen=True, gc=False):
    """One script of a treasury, and where it comes from; `address` is None where it has none.

    Lists have 100,000 of them: nothing is kept that is told by the rest, and the garbage collector, which
    stops every thread while it looks, need not look at any: there is no way back from what one holds.
    """

    script_pubkey: bytes
    address: str | None
    provenance: Provenance

    @property
    def scripthash(self) -> ScriptHash:
        """Worked out each time."""
        return scripthash(self.script_pubkey)


@dataclass(frozen=True, slots=True)
class WalletWatch:
    """A wallet of a treasury; `first` are the scripts watched before any is used, branch by branch.

    There are as many of each branch as `wallet.window((), gap_limit)` says.
    """

    wallet: Wallet
    provenance: Provenance
    first: tuple[WatchedScript, ...]

    def script(self, branch: int, index: int, network: Network) -> WatchedScript:
        """The script at an index of a branch, as the watch list has it."""
        script = self.wallet.script(branch, index)
        return WatchedScript(script, encode_address(script, network), self.provenance)


@dataclass(frozen=True, slots=True)
class Treasury:
    """A named set of scripts; `sources` None lets every source learn them."""

    name: str
    title: str
    attribution: Attribution
    dust_sats: Sats
    gap_limit: int
    sources: tuple[str, ...] | None
    scripts: tuple[WatchedScript, ...]
    wallets: tuple[WalletWatch, ...]
    claims: tuple[Claim, ...]

    @property
    def initial_scripts(self) -> tuple[WatchedScript, ...]:
        """All that is watched before a wallet's window is extended."""
        return (*self.scripts, *(script for watch in self.wallets for script in watch.first))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is told; only `alertmanager` has several `urls`; `secret` signs, or is a token or a password."""

    name: str
    kind: EndpointKind
    urls: tuple[UrlReference, ...]
    secret: SecretReference | None
    previous_secret: SecretFile | None
    allow_private: bool
    canary: bool
    lang: Lang
    headers: SecretFile | None
    options: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes its URLs may have, also those still to be read."""
        return endpoint_schemes(self.kind, allow_private=self.allow_private)


@dataclass(frozen=True, slots=True)
class Fiat:
    """Where the rate comes from: a URL, or the exact decimal itself."""

    currency: str
    kind: str
    url: Url | None
    rate: str | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Whom to ping, every so many seconds."""

    url: UrlReference
    fail_url: SecretFile | None
    every: float


@dataclass(frozen=True, slots=True)
class Config:
    """One accepted config; its `doubts` are no errors, and yet hardly meant."""

    file: Path
    network: Network
    state_directory: Path
    finality: int
    show_addresses: str
    lang: Lang
    http: Http
    quorum: Quorum
    timing: Timing
    canary: Canary
    sources: tuple[SourceConfig, ...]
    treasuries: tuple[Treasury, ...]
    rules: tuple[Rule, ...]
    endpoints: tuple[Endpoint, ...]
    fiat: Fiat | None
    heartbeat: Heartbeat | None
    log_format: LogFormat
    doubts: tuple[ConfigError, ...] = ()


SOURCE_SCHEMES: Mapping[SourceKind, tuple[str, ...]] = {
    "electrum": ("ssl", "tcp"),
    "esplora": ("https", "http"),
    "mempool": ("https", "http"),
}


def endpoint_schemes(kind: EndpointKind, *, allow_private: bool) -> tuple[str, ...]:
    """The schemes of an endpoint's URL; what stays unencrypted only into one's own network."""
    match kind:
        case "email":
            return ("smtps", "smtp")  # smtp:// goes on encrypted, by STARTTLS, or not at all
        case _:
            return ("https", "http") if allow_private else ("https",)
