"""The language of the config: every section and key that may be written, its type and its default.

These models check each table by itself and are the source of the JSON Schema. What concerns several
tables (names, references, scripts) is checked where they are joined.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import MAX_SATS
from watcher.config import values
from watcher.config.presets import PRESETS
from watcher.config.values import Budget

_DURATION = {"type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"}
_RUNG = {"anyOf": [{"enum": ["seen", "confirmed", "final"]}, {"type": "integer", "minimum": 1}]}
_BUDGET = {"type": "string", "pattern": "^[0-9]+/[smhd]$"}
_AMOUNT = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]{1,8}(\.[0-9]{1,8})?$"},
        {"type": "integer", "minimum": 0},
    ]
}
_ADDRESSEES = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 50},
    ]
}
_PRICE = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,8})?$"},
        {"type": "integer", "minimum": 0},
    ]
}
_INSTANT = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "format": "date-time"}]}
_DAY = {"type": "string", "format": "date"}


def _named(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


_TREASURY_PATTERN = _named("^[a-z0-9-]{1,64}$")
_NAME_PATTERN = _named("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")

TreasuryName: TypeAlias = Annotated[str, PlainValidator(values.treasury_name), _TREASURY_PATTERN]
Name: TypeAlias = Annotated[str, PlainValidator(values.plain_name), _NAME_PATTERN]
Text: TypeAlias = Annotated[str, PlainValidator(values.plain_text), WithJsonSchema({"type": "string"})]
Duration: TypeAlias = Annotated[float, PlainValidator(values.duration), WithJsonSchema(_DURATION)]
Interval: TypeAlias = Annotated[float, PlainValidator(values.some_duration), WithJsonSchema(_DURATION)]
Btc: TypeAlias = Annotated[int, PlainValidator(values.sats_of_btc), WithJsonSchema(_AMOUNT)]
Budgets: TypeAlias = Annotated[
    tuple[Budget, ...],
    PlainValidator(values.budgets),
    WithJsonSchema({"anyOf": [_BUDGET, {"type": "array", "items": _BUDGET}]}),
]
Membership: TypeAlias = Annotated[int | datetime, PlainValidator(values.membership), WithJsonSchema(_INSTANT)]
Day: TypeAlias = Annotated[date, PlainValidator(values.day), WithJsonSchema(_DAY)]
Rungs: TypeAlias = Annotated[list[object], WithJsonSchema({"type": "array", "items": _RUNG})]
Currency: TypeAlias = Annotated[str, PlainValidator(values.currency), _named("^[A-Z]{3}$")]
Price: TypeAlias = Annotated[str, PlainValidator(values.price), WithJsonSchema(_PRICE)]
Chat: TypeAlias = Annotated[str, PlainValidator(values.chat), WithJsonSchema({"type": ["string", "integer"]})]
NetworkName: TypeAlias = Annotated[
    Network, BeforeValidator(values.network), WithJsonSchema({"enum": [str(network) for network in Network]})
]
PresetName: TypeAlias = Annotated[
    str, PlainValidator(values.plain_name), WithJsonSchema({"enum": sorted(PRESETS)})
]
Addressees: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(values.addressees), WithJsonSchema(_ADDRESSEES)
]
PathText: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096)]

Attribution: TypeAlias = Literal["self_published", "official", "third_party", "own"]
SourceKind: TypeAlias = Literal["electrum", "esplora", "mempool"]
EndpointKind: TypeAlias = Literal["webhook", "alertmanager", "ntfy", "telegram", "slack", "email", "apprise"]
Lang: TypeAlias = Literal["en", "es"]
LogFormat: TypeAlias = Literal["auto", "json"]
TopicWord: TypeAlias = Literal[
    "inflow",
    "outflow",
    "internal",
    "any",
    "chain",
    "watch",
    "source",
    "dormant",
    "first_spend",
    "balance_below",
    "balance_above",
    "claim_mismatch",
    "disagreement",
    "stale",
]


class Table(BaseModel):
    """A TOML table: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HttpTable(Table):
    """Where the page, the API and the metrics are served, and who may read them."""

    listen: str = "127.0.0.1:9342"
    external_url: str = ""
    public: bool = False
    read_token_file: PathText | None = None
    admin_token_file: PathText | None = None
    explorer: str = ""


class QuorumTable(Table):
    """How many independent sources must agree on absence and on what is unconfirmed."""

    sources: Annotated[int, Field(ge=1, le=100)] = 2


class TimingTable(Table):
    """The anti-entropy interval and what follows from silence."""

    reread: Interval = 60.0
    stale_after: Interval = 300.0
    dropped_after: Interval = 1_800.0


class CanaryTable(Table):
    """How often a canary goes through the whole pipe."""

    every: Interval = 3_600.0


class SourceTable(Table):
    """A server that answers questions: a kind and a URL, or a preset."""

    name: Name
    kind: SourceKind | None = None
    url: str | None = None
    url_file: PathText | None = None
    url_credential: Name | None = None
    preset: PresetName | None = None
    trusted: bool = False
    operator: Text | None = None
    tls: Literal["ca", "tofu", "pin"] | None = None
    pin: str | None = None
    proxy: str | None = None
    budget: Budgets = ()
    headers_file: PathText | None = None


class WatchTable(Table):
    """What is watched, exactly one of the first five, and who published it."""

    address: str | None = Field(None, max_length=200)
    addresses_file: PathText | None = None
    descriptor: str | None = Field(None, max_length=20_000)
    xpub: str | None = Field(None, max_length=200)
    script: str | None = Field(None, max_length=20_000)
    label: Text | None = None
    published: Day | None = None
    by: Text | None = None
    source: Text | None = None
    read: Day | None = None
    licence: Text | None = None
    member_from: Membership | None = None
    member_until: Membership | None = None


class ClaimTable(Table):
    """What somebody said the treasury holds."""

    id: Name
    says: Literal["exactly", "at_least", "at_most", "about"]
    btc: Btc
    tolerance_btc: Btc | None = None
    as_of: Day
    standing: bool = False
    covers: Literal["published", "everything"] = "published"
    role: Literal["official", "press", "third_party"] = "third_party"
    by: Text | None = None
    quote: Text | None = None
    source: Text | None = None
    archived: Text | None = None
    read: Day | None = None


class TreasuryTable(Table):
    """A named set of scripts; the top level of an included file has the same keys."""

    name: TreasuryName
    title: Text | None = None
    attribution: Attribution = "third_party"
    dust_sats: int = Field(1000, ge=0, le=MAX_SATS)
    gap_limit: int = Field(20, ge=1, le=10_000)
    sources: list[Name] | None = Field(None, min_length=1)
    watch: list[WatchTable] = []
    claims: list[ClaimTable] = []


class RuleTable(Table):
    """Which events become notices, at which rungs and for whom."""

    name: Name
    on: list[TopicWord] = Field(min_length=1)
    treasuries: list[str] = Field(["*"], min_length=1)
    min_btc: Btc = 0
    at: Rungs = Field(["seen", "final"], min_length=1)
    severity: Literal["info", "warning", "critical"] = "warning"
    send_to: list[str] = []
    dormant_days: int | None = Field(None, ge=1, le=100_000)
    btc: Btc | None = None
    for_: Duration = Field(0.0, alias="for")


class EndpointTable(Table):
    """Who is told."""

    name: Name
    kind: EndpointKind
    url: str | None = None
    url_file: PathText | None = None
    url_credential: Name | None = None
    urls: list[str] | None = Field(None, min_length=1, max_length=10)
    secret_file: PathText | None = None
    secret_credential: Name | None = None
    previous_secret_file: PathText | None = None
    token_file: PathText | None = None
    password_file: PathText | None = None
    topic: Name | None = None
    chat: Chat | None = None
    from_: Text | None = Field(None, alias="from")
    to: Addressees | None = None
    allow_private: bool = False
    canary: bool = False
    lang: Lang | None = None
    headers_file: PathText | None = None


class FiatTable(Table):
    """At what rate amounts are also shown."""

    currency: Currency
    kind: Literal["mempool", "fixed"]
    url: str | None = None
    rate: Price | None = None


class HeartbeatTable(Table):
    """Who notices when the watcher itself falls silent."""

    url: str | None = None
    url_file: PathText | None = None
    url_credential: Name | None = None
    fail_url_file: PathText | None = None
    every: Interval = 60.0


class LogTable(Table):
    """The form of the log."""

    format: LogFormat = "auto"


class ConfigTable(Table):
    """The whole file."""

    network: NetworkName = Network.MAINNET
    state_directory: PathText | None = None
    finality: int = Field(6, ge=1, le=1_000)
    include: list[str] = Field([], max_length=100)
    catalogue: list[str] = []
    show_addresses: Literal["nowhere", "page", "everywhere"] = "page"
    lang: Lang = "en"
    http: HttpTable = HttpTable()
    quorum: QuorumTable = QuorumTable()
    timing: TimingTable = TimingTable()
    canary: CanaryTable = CanaryTable()
    sources: list[SourceTable] = []
    treasuries: list[TreasuryTable] = []
    rules: list[RuleTable] = []
    endpoints: list[EndpointTable] = []
    fiat: FiatTable | None = None
    heartbeat: HeartbeatTable | None = None
    log: LogTable = LogTable()
