"""JSON-RPC in lines, without I/O: bytes in, messages out.

What is refused here is what no honest server sends: a line beyond the bound, invalid UTF-8, NaN and
its kin, nesting deeper than the interpreter's own limit, an id that is no integer, an answer that is
both a result and an error. Results stay raw: who asked knows their type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from watcher.sources.base import Misbehaved
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

# A history entry is about 99 bytes, so this is some 80,000 transactions of one script; ElectrumX answers
# with at most 1 MB unless told otherwise (MAX_SEND), and a transaction of 4 MB is 8 MB of hex.
MAX_LINE: Final = 8_000_000
# We never ask for more in one batch; checked before decoding, since each answer costs an object.
MAX_BATCH: Final = 1_000
# What has many objects has the entries of a history, and each of these a hash of 64 digits. Decoded, an
# object takes some 100 bytes: without this bound `{},{},…` would take thirty times its own size.
_OBJECT: Final = 64
LINE_TOO_LONG: Final = "line_too_long"  # the reason of the one refusal that an honest server can meet

_ERROR_TEXT: Final = 300


class Question(msgspec.Struct, frozen=True, gc=False):
    """A method and its positional parameters."""

    method: str
    params: tuple[object, ...] = ()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The result of the request of this id."""

    id: int
    result: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error instead of a result; without an id where the server could not read the request."""

    id: int | None
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What a server says unasked."""

    method: str
    params: msgspec.Raw


Message: TypeAlias = Answer | Refusal | Notification


class _Envelope(msgspec.Struct, gc=False):
    id: int | msgspec.UnsetType | None = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


_NULL: Final = msgspec.Raw(b"null")
_ENVELOPES: Final = msgspec.json.Decoder(_Envelope | list[_Envelope])
_ERRORS: Final = msgspec.json.Decoder(_Error | str)


class Lines:
    """Cuts a stream into lines; holds at most one unfinished line, at most `limit` bytes of it."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, empty ones left out; `Misbehaved` for one that is too long."""
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            self._extend(end)
            if line := bytes(self._rest).strip():
                lines.append(line)
            self._rest = bytearray()
        self._extend(rest)
        return lines

    def _extend(self, part: bytes) -> None:
        if len(self._rest) + len(part) > self._limit:
            raise Misbehaved(LINE_TOO_LONG, f"a line of more than {self._limit} bytes")
        self._rest += part


def decode(line: bytes) -> list[Message]:
    """The messages of one line: one, or those of a batch; `Misbehaved` for what JSON-RPC does not allow."""
    if line[:1] == b"[":
        if line.count(b'"id"') > MAX_BATCH:
            raise Misbehaved("protocol", f"a batch of more than {MAX_BATCH} answers")
        if line.count(b"{") > MAX_BATCH + len(line) // _OBJECT:
            raise Misbehaved("protocol", "a batch of more objects than it has room for")
    try:
        if not line.isascii():
            line.decode()  # msgspec does not look at the UTF-8 of what it leaves raw
        parsed = _ENVELOPES.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Misbehaved("protocol", f"no JSON-RPC: {quoted(error)}") from None
    return [_message(one) for one in (parsed if isinstance(parsed, list) else (parsed,))]


def encode(question: Question, request_id: int) -> bytes:
    """One request as a line."""
    return msgspec.json.encode(_request(question, request_id)) + b"\n"


def encode_batch(questions: Sequence[Question], first_id: int) -> bytes:
    """Several requests as one line, with ids from `first_id` on."""
    batch = [_request(question, first_id + at) for at, question in enumerate(questions)]
    return msgspec.json.encode(batch) + b"\n"


def _request(question: Question, request_id: int) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "method": question.method, "params": question.params}


def _message(envelope: _Envelope) -> Message:
    is_refused = _is_set(envelope.error)
    if isinstance(envelope.method, str):
        if isinstance(envelope.id, int) or is_refused or _is_set(envelope.result):
            raise Misbehaved("protocol", "a notification that is also an answer or a request")
        return Notification(envelope.method, envelope.params)
    if is_refused:
        if _is_set(envelope.result):
            raise Misbehaved("protocol", "an answer that is both a result and an error")
        return _refusal(envelope.id if isinstance(envelope.id, int) else None, envelope.error)
    if not isinstance(envelope.id, int) or not len(envelope.result):
        raise Misbehaved("protocol", "an answer without an id or without a result")
    return Answer(envelope.id, envelope.result)


def _is_set(raw: msgspec.Raw) -> bool:
    # JSON-RPC 1.0 servers write the one that does not apply as null
    return bool(len(raw)) and raw != _NULL


def _refusal(request_id: int | None, raw: msgspec.Raw) -> Refusal:
    # electrs' forks send a bare string where the specification has an object
    try:
        error = _ERRORS.decode(raw)
    except msgspec.DecodeError:
        return Refusal(request_id, 0, quoted(memoryview(raw)[:_ERROR_TEXT].tobytes(), limit=_ERROR_TEXT))
    if isinstance(error, str):
        return Refusal(request_id, 0, quoted(error, limit=_ERROR_TEXT))
    return Refusal(request_id, error.code, quoted(error.message, limit=_ERROR_TEXT))
