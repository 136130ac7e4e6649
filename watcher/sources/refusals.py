"""What a server's error means: the one place that reads error codes and texts.

Codes changed over the years and between servers, so the text decides first. Forms seen in ElectrumX 1.8 to
1.20, electrs and its forks, and Fulcrum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watcher.sources.base import NotThere, SourceError, TooBusy, Unavailable
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    from watcher.sources.jsonrpc import Refusal

_TOO_LARGE_CODE: Final = 10001  # ElectrumX since 1.17: RPC_ERROR_HISTORY_TOO_LONG
_EXCESSIVE_CODE: Final = -101  # aiorpcX: the session's cost limit; the server hangs up
_BUSY_CODE: Final = -102  # aiorpcX: not answered within the server's own time limit

_TOO_LARGE: Final = (
    "history too large",
    "response too large",
    "too many history transactions",
    "too popular",
)
_NOT_THERE: Final = (
    "no such mempool",
    "no such transaction",
    "not in block",
    "no transaction matching",
    "transaction not found",
    "tx not found",
    "missing transaction",
    "out of range",
    "not on disk",
)

# ElectrumX refunds a hard limit's cost over 5,000 s: sooner than this it is used up again
_EXCESSIVE_WAIT: Final = 60.0
_BUSY_WAIT: Final = 5.0


def refused(refusal: Refusal) -> SourceError:
    """The error that a server's refusal stands for."""
    text = quoted(refusal.text)
    told = f"error {refusal.code}: {text}"
    lowered = text.lower()
    if refusal.code == _TOO_LARGE_CODE or any(form in lowered for form in _TOO_LARGE):
        return TooBusy(told)
    if any(form in lowered for form in _NOT_THERE):
        return NotThere(told)
    if refusal.code == _EXCESSIVE_CODE:
        return Unavailable(told, retry_after=_EXCESSIVE_WAIT)
    if refusal.code == _BUSY_CODE:
        return Unavailable(told, retry_after=_BUSY_WAIT)
    return Unavailable(told)
