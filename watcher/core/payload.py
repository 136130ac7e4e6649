"""The body of a webhook: the event, and what belongs to this delivery alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watcher.core.fiat import fiat_data
from watcher.core.instants import rfc3339

if TYPE_CHECKING:
    from watcher.core.events import Data
    from watcher.core.fiat import Rate
    from watcher.core.rules import Notice


def canonical(data: object) -> str:
    """Compact JSON, in the order the fields were written."""
    return msgspec.json.encode(data).decode()


def envelope(event_type: str, at_ms: int, data: Data) -> Data:
    """The Standard Webhooks shape that webhooks, API and stream share."""
    return {"type": event_type, "timestamp": rfc3339(at_ms), "data": data}


def body(notice: Notice, external_url: str, rate: Rate | None = None) -> str:
    """The text to send, fixed at commit: each retry sends the same bytes, at the rate of then."""
    event = notice.event
    data = dict(event.data)
    incident = f"{external_url.rstrip('/')}/incidents/{event.incident}"
    amount = data.get("amount_sats")
    data |= {
        "fiat": fiat_data(amount, rate) if rate is not None and isinstance(amount, int) else None,
        "rules": list(notice.rules),
        "severity": str(notice.severity),
        "step": notice.step,
        "url": incident if external_url and event.incident else None,
    }
    if notice.expected:
        data["expected"] = True
    return canonical(envelope(event.type, event.at_ms, data))
