"""Instants: milliseconds since 1970 UTC inside, RFC 3339 with `Z` outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)  # the notices of one commit tell the same one
def rfc3339(ms: int) -> str:
    """`2026-11-24T10:00:00.123Z`, the form of every instant that leaves the program."""
    return f"{(_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec='milliseconds')[:-6]}Z"


def rfc3339_seconds(seconds: int) -> str:
    """`2026-11-24T10:00:00Z`, for block times, which have no finer grain."""
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat(timespec='seconds')[:-6]}Z"
