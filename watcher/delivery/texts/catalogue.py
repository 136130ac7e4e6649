"""What a language must supply; the composition is the same for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Templates of `str.format`, by event type where not said otherwise; values never hold templates.

    `flows` and `floods` are by flow, `states` end a title about a transaction, `titles` are those of
    other events, `meanings` say what happened and `advice` what to do next, by `type.flow`, by type, or
    by flow. `changes` are what a config's difference is made of, `occasions` why it changed where nobody
    says. `reasons` hold every word of the closed lists. `counted` holds (one, many). `names` are
    the words before a value; other field names stay English.
    """

    severities: Mapping[str, str]
    flows: Mapping[str, str]
    floods: Mapping[str, str]
    states: Mapping[str, str]
    titles: Mapping[str, str]
    meanings: Mapping[str, str]
    advice: Mapping[str, str]
    changes: Mapping[str, str]
    trust: Mapping[str, str]
    reasons: Mapping[str, str]
    occasions: Mapping[str, str]
    attributions: Mapping[str, str]
    counted: Mapping[str, tuple[str, str]]
    names: Mapping[str, str]
    phrases: Mapping[str, str]
