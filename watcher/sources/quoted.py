"""Text from outside, made harmless before it reaches a log, a page or an error."""

from __future__ import annotations


def quoted(text: object, *, limit: int = 200) -> str:
    """The first `limit` characters in printable ASCII: control, bidi and foreign characters escaped."""
    shown = str(text)[: limit + 1].encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= limit else shown[: limit - 1] + "~"
