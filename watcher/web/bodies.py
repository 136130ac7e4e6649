"""The bodies of the writes, as JSON Schema: the OpenAPI document has them, the handlers keep to them."""

from __future__ import annotations

from typing import Any, Final

from watcher.bitcoin.types import MAX_SATS
from watcher.core.known import Flow

MOST_SECONDS: Final = 31 * 86_400  # a pause that nobody ends ends within a month
MOST_ADDRESSES: Final = 500
MOST_TEXT: Final = 500
MOST_NAME: Final = 100


def _body(needed: dict[str, Any], more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": sorted(needed),
        "additionalProperties": False,
        "properties": needed | (more or {}),
    }


_WORDS: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MOST_TEXT}
_WHO: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MOST_NAME}
_SATS: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": MAX_SATS}

PAUSE: Final = _body(
    {"seconds": {"type": "integer", "minimum": 0, "maximum": MOST_SECONDS}, "reason": _WORDS, "by": _WHO}
)
TRUST: Final = _body(
    {}, {"fingerprint": {"type": ["string", "null"], "pattern": "^(sha256:)?[0-9a-fA-F]{64}$"}}
)
RELEASE: Final = _body({"reason": _WORDS})
NOTE: Final = _body({"text": _WORDS, "by": _WHO})
EXPECTATION: Final = _body(
    {
        "to": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_ADDRESSES},
        "max_sats": _SATS,
        "until": {"type": "string", "maxLength": 32},
        "reason": _WORDS,
        "by": _WHO,
    }
)
SAMPLE: Final = _body(
    {
        "treasury": {"type": "string"},
        "flow": {"type": "string", "enum": [str(f) for f in Flow]},
        "sats": _SATS,
    },
    {
        "to": {"type": ["string", "null"]},
        "at": {"type": ["string", "integer", "null"]},
        "oldest_coin_days": {"type": ["integer", "null"], "minimum": 0},
        "first_spend": {"type": "boolean"},
    },
)
