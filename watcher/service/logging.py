"""One event, one line: text on a terminal, logfmt for journald, JSON where asked for.

The rest of the program logs with the standard library, a constant message and its facts in `extra`:
`log.warning("source failed", extra={"source": name, "reason": reason})`. Whatever arrives here leaves
without control characters, at a bounded length, and with URLs cut to scheme and host: paths, queries
and user names may hold secrets.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from typing import TYPE_CHECKING, Final, Literal, TextIO

from watcher.core.instants import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

Format = Literal["auto", "json"]

_URL: Final = re.compile(
    r"\b([a-z][a-z0-9+.-]{1,20})://(?:[^\s/?#\"']*@)?([^\s/?#@\"'<>]*)[^\s\"'<>]*", re.IGNORECASE
)
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BARE: Final = re.compile(r"[A-Za-z0-9_.,:;/@+*%()\[\]-]+", re.ASCII)
_MAX_VALUE: Final = 1_000
_MAX_TRACEBACK: Final = 8_000
_SAY_AGAIN_SECONDS: Final = 60.0
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# syslog(3), as journald reads it from `<N>` at the start of a line
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def configure_logging(form: Format, stream: TextIO, environ: Mapping[str, str]) -> None:
    """Send every logger's events to `stream`, in the form that suits it; replaces what was set before."""
    journal = _is_journal(stream, environ)
    formatter: logging.Formatter
    if form == "json":
        formatter = JsonFormatter()
    elif stream.isatty() and not journal:
        formatter = TextFormatter()
    else:
        formatter = LogfmtFormatter()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter(formatter) if journal else formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("asyncio").addFilter(_OUT_OF_RESOURCES)
    # they tell of every job and every refused request; what matters of it is counted or logged by us
    for name in ("apscheduler", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)


def clean(text: str, limit: int = _MAX_VALUE) -> str:
    """Text that fits a log line: no URL beyond its host, nothing that moves a cursor, `limit` characters."""
    # twice the limit is enough to cut from, and bounds the work
    text = _URL.sub(r"\1://\2", text[: 2 * limit])
    text = _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= limit else f"{text[:limit]}…"


class TextFormatter(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """`2026-11-24T10:00:00.123Z WARNING source failed source=home reason=timeout`."""
        fields = _logfmt(_fields(record))
        return f"{_instant(record)} {record.levelname:<8} {_message(record)}{' ' if fields else ''}{fields}"


class LogfmtFormatter(logging.Formatter):
    """For journald and files."""

    def format(self, record: logging.LogRecord) -> str:
        """`ts=… level=warning logger=… msg="source failed" source=home reason=timeout`."""
        return _logfmt(_head(record) | _fields(record))


class JsonFormatter(logging.Formatter):
    """For collectors: the fields of logfmt as an object."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object in one line."""
        return json.dumps(_head(record) | _fields(record), ensure_ascii=True)


class JournalFormatter(logging.Formatter):
    """Puts the priority before the line of another formatter, where journald takes it away again."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """`<4>` and the line."""
        priority = next((p for level, p in _PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{self._inner.format(record)}"


class _OutOfResources(logging.Filter):
    """asyncio's word that it cannot accept, each second and with a traceback: once a minute, in one line."""

    def __init__(self) -> None:
        super().__init__()
        self._said = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith("socket.accept() out of system resource"):
            return True
        if 0 <= record.created - self._said < _SAY_AGAIN_SECONDS:
            return False
        self._said = record.created
        error = record.exc_info[1] if record.exc_info else None
        why = error.strerror if isinstance(error, OSError) else "no resources"
        record.msg, record.args, record.exc_info = "no connection can be accepted: %s", (why,), None
        return True


# one for all, since a filter that is added again is not added
_OUT_OF_RESOURCES: Final = _OutOfResources()


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd says it connected to the journal (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _instant(record: logging.LogRecord) -> str:
    return rfc3339(int(record.created * 1000))


def _message(record: logging.LogRecord) -> str:
    return clean(record.getMessage())


def _head(record: logging.LogRecord) -> dict[str, object]:
    return {
        "ts": _instant(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": _message(record),
    }


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = {
        name: value if type(value) in {int, float, bool} else clean(str(value))
        for name, value in vars(record).items()
        if name not in _OWN and value is not None
    }
    if record.exc_info:
        fields["traceback"] = clean(logging.Formatter().formatException(record.exc_info), _MAX_TRACEBACK)
    return fields


def _logfmt(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def _quoted(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
