"""When a certificate ends, read out of its DER form: Python's own reader is for verified ones alone.

X.509 (RFC 5280, 4.1): Certificate → TBSCertificate → [version] serial signature issuer validity(from, to).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_BEFORE_VALIDITY: Final = 3  # serial, signature, issuer


def ends_at(der: bytes) -> float | None:
    """Unix seconds; None for what is no certificate."""
    try:
        _, certificate, _ = _element(der)
        _, inner, _ = _element(certificate)
        tag, _, rest = _element(inner)
        inner = rest if tag == _VERSION else inner
        for _ in range(_BEFORE_VALIDITY):
            _, _, inner = _element(inner)
        tag, validity, _ = _element(inner)
        if tag != _SEQUENCE:
            return None
        _, _, after_begin = _element(validity)
        tag, end, _ = _element(after_begin)
        return _instant(tag, end.decode("ascii"))
    except (IndexError, ValueError):
        return None


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it."""
    tag, size, at = data[0], data[1], 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if at + size > len(data):
        raise ValueError("cut short")
    return tag, data[at : at + size], data[at + size :]


def _instant(tag: int, text: str) -> float | None:
    if tag == _UTC_TIME:
        century = "19" if text[:2] >= "50" else "20"
        text = century + text
    elif tag != _GENERALIZED_TIME:
        return None
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
