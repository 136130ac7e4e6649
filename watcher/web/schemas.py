"""What the API answers, as JSON Schema: the part of each answer that readers build on."""

from __future__ import annotations

from typing import Any, Final

from watcher.web.history import COLUMNS

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_FLAG: Final[Schema] = {"type": "boolean"}
_INSTANT: Final[Schema] = {"type": ["string", "null"], "pattern": "Z$"}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Schema]) -> Schema:
    """All of these, and perhaps more: what is added later breaks no reader."""
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


_SATS: Final[Schema] = {"type": "integer"}
_BALANCE: Final = _object({"confirmed": _SATS, "pending": _SATS})
_QUORUM: Final = _object({"required": _COUNT, "independent": _COUNT, "fresh": _COUNT})

PROBLEM: Final = _object({"type": _TEXT, "title": _TEXT, "status": _COUNT, "detail": _TEXT})
EVENT: Final = _object(
    {
        "type": {"type": "string", "pattern": r"^[a-z]+\.[a-z_]+$"},
        "timestamp": {"type": "string", "pattern": "Z$"},
        "data": _object({"id": _TEXT, "log": _TEXT, "sequence": _COUNT}),
    }
)
EVENTS: Final = _object(
    {"log": _TEXT, "events": _list(EVENT), "next": {"type": "string", "pattern": "^[^:]+:[0-9]+$"}}
)
_TREASURY: Final = _object(
    {
        "name": _TEXT,
        "title": _TEXT,
        "attribution": _TEXT,
        "balance_sats": _maybe(_BALANCE),
        "fresh": {"type": ["boolean", "null"]},
        "stale_reasons": _TEXTS,
        "complete_as_of": _maybe(
            _object({"height": _COUNT, "hash": _TEXT, "time": _INSTANT, "sources": _TEXTS})
        ),
        "scripts": _COUNT,
        "baseline_ratio": {"type": "number", "minimum": 0, "maximum": 1},
    }
)
_THEN: Final = _object(
    {
        "name": _TEXT,
        "at": _object({"height": _COUNT, "time": _INSTANT, "day": {"type": ["string", "null"]}}),
        "balance_sats": _maybe(_object({"confirmed": _SATS})),
    }
)
TREASURY: Final[Schema] = {"anyOf": [_TREASURY, _THEN]}
TREASURIES: Final = _object({"treasuries": _list(TREASURY)})
HISTORY: Final = _object(
    {
        "treasury": _TEXT,
        "rows": _list({"type": "object", "required": sorted(COLUMNS)}),
        "next": {"type": ["string", "null"]},
    }
)
SOURCES: Final = _object(
    {
        "quorum": _QUORUM,
        "sources": _list(
            _object(
                {
                    "name": _TEXT,
                    "kind": _TEXT,
                    "operator": _TEXT,
                    "up": _FLAG,
                    "last_success": _INSTANT,
                    "caught": _maybe(_TEXT),
                }
            )
        ),
    }
)
DELIVERIES: Final = _object(
    {
        "deliveries": _list(
            _object(
                {
                    "id": _COUNT,
                    "endpoint": _TEXT,
                    "webhook_id": _TEXT,
                    "type": _TEXT,
                    "state": _TEXT,
                    "attempts": _COUNT,
                }
            )
        ),
        "next": {"type": ["integer", "null"]},
    }
)
STATUS: Final = _object(
    {"version": _TEXT, "log": _TEXT, "sequence": _COUNT, "ready": _FLAG, "fresh": _FLAG, "quorum": _QUORUM}
)
