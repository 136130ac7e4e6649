"""What a rule is: which events it chooses, at which rungs, and to whom their notices go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from watcher.bitcoin.types import Sats

Rung: TypeAlias = Literal["seen", "confirmed", "final"] | int  # an int is 2 … finality - 1 confirmations

EVERY_TREASURY = "*"


class Topic(StrEnum):
    """What a rule listens to. `any` of the config is written out as the three flows."""

    INFLOW = "inflow"
    OUTFLOW = "outflow"
    INTERNAL = "internal"
    CHAIN = "chain"
    WATCH = "watch"
    SOURCE = "source"
    DORMANT = "dormant"
    FIRST_SPEND = "first_spend"
    BALANCE_BELOW = "balance_below"
    BALANCE_ABOVE = "balance_above"
    CLAIM_MISMATCH = "claim_mismatch"
    DISAGREEMENT = "disagreement"
    STALE = "stale"


FLOWS = (Topic.INFLOW, Topic.OUTFLOW, Topic.INTERNAL)
BALANCES = frozenset({Topic.BALANCE_BELOW, Topic.BALANCE_ABOVE})
CONDITIONS = BALANCES | {Topic.CLAIM_MISMATCH, Topic.DISAGREEMENT, Topic.STALE, Topic.SOURCE}


class Severity(StrEnum):
    """How loudly a notice speaks, the quietest first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked: amounts in satoshis, times in days or seconds, rungs in the order they were given.

    `btc_sats` is the threshold of the balance topics and `dormant_days` that of `dormant`; each is None
    exactly where its topic is absent. `for_seconds` delays the notices of conditions only.
    """

    name: str
    on: tuple[Topic, ...]
    treasuries: tuple[str, ...]
    min_sats: Sats
    at: tuple[Rung, ...]
    severity: Severity
    send_to: tuple[str, ...]
    dormant_days: int | None
    btc_sats: Sats | None
    for_seconds: float


def parse_rung(value: object, *, finality: int) -> Rung:
    """A rung as written, in its one form: 1 is "confirmed", `finality` and above "final"; ValueError else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6:
        value = int(value)
    match value:
        case "seen" | "confirmed" | "final":
            return value
        case int() if type(value) is int and value >= 1:
            if value == 1:
                return "confirmed"
            return "final" if value >= finality else value
        case _:
            raise ValueError('a rung is "seen", "confirmed", "final" or a number of confirmations from 1')
