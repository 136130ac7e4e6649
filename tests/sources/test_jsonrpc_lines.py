"""Framing: bytes in, messages out, whatever the bytes are and however they are cut."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.sources.base import Misbehaved
from watcher.sources.jsonrpc import (
    MAX_BATCH,
    Answer,
    Lines,
    Message,
    Notification,
    Question,
    Refusal,
    decode,
    encode,
    encode_batch,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
answers = st.builds(lambda i, r: {"jsonrpc": "2.0", "id": i, "result": r}, st.integers(0, 2**40), json_values)
errors = st.builds(
    lambda i, c, m: {"id": i, "error": {"code": c, "message": m}},
    st.integers(0, 99) | st.none(),
    st.integers(-99999, 99999),
    st.text(max_size=20),
)
notifications = st.builds(lambda m, p: {"method": m, "params": p}, st.text(max_size=9), json_values)
one = answers | errors | notifications
lines = st.lists(one | st.lists(one, min_size=1, max_size=4), max_size=6)


def seen(messages: list[Message]) -> list[object]:
    """Comparable, and raw JSON read by another parser."""
    found: list[object] = []
    for message in messages:
        match message:
            case Answer(request_id, result):
                found.append((request_id, json.loads(bytes(result))))
            case Notification(method, params):
                found.append((method, json.loads(bytes(params))))
            case Refusal():
                found.append(message)
    return found


@given(lines, st.data())
def test_any_cut_of_the_bytes_gives_the_same_messages(sent: list[object], data: st.DataObject) -> None:
    escaped = data.draw(st.booleans())
    stream = b"".join(json.dumps(line, ensure_ascii=escaped).encode() + b"\n" for line in sent)
    whole = [message for line in Lines().feed(stream) for message in decode(line)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    framer = Lines()
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    cut = [message for piece in pieces for line in framer.feed(piece) for message in decode(line)]
    assert seen(cut) == seen(whole)
    assert len(whole) == sum(len(line) if isinstance(line, list) else 1 for line in sent)
    assert not framer.unfinished


def test_ten_thousand_broken_frames_are_refused_or_read_and_never_anything_else() -> None:
    draw = random.Random(20261124)
    honest = [
        b'{"jsonrpc":"2.0","id":7,"result":[{"tx_hash":"' + b"ab" * 32 + b'","height":5}]}',
        b'{"id":8,"error":{"code":-101,"message":"excessive resource usage"}}',
        b'[{"id":1,"result":null},{"id":2,"result":"\\u00e9\\ud83d\\ude00"}]',
        '{"method":"blockchain.scripthash.subscribe","params":["é","x"]}'.encode(),
    ]
    refused = 0
    for _ in range(10_000):
        frame = bytearray(draw.choice(honest))
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(frame))
            match draw.randrange(4):
                case 0:
                    frame[at] = draw.randrange(256)
                case 1:
                    del frame[at : at + draw.randint(1, 9)]
                case 2:
                    frame[at:at] = draw.choice(
                        [b"NaN", b"1e999", b"\\ud800", b"[", b"\xff", b"\0", b"-0", b"{}"]
                    )
                case _:
                    frame[at:at] = frame[draw.randrange(len(frame)) :][: draw.randint(1, 30)]
            frame = frame or bytearray(b" ")
        for line in Lines().feed(bytes(frame) + b"\n"):
            try:
                for message in decode(line):
                    assert isinstance(message, Answer | Refusal | Notification)
            except Misbehaved:
                refused += 1
    assert refused > 5_000


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"id":1,"result":1}',
        b'{"id":1,"result":"\xff"}',
        b'{"id":1,"result":"\xed\xa0\x80"}',
        b'{"id":1,"result":"\\ud800 and more text"}',
        b'{"id":1,"result":"\\udc00\\ud800"}',
        b'{"id":1,"result":"\0"}',
        b'{"id":1,"result":NaN}',
        b'{"id":1,"result":-Infinity}',
        b'{"id":1,"result":[1,]}',
        b'{"id":1,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":1,"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"id":"1","result":1}',
        b'{"id":1.0,"result":1}',
        b'{"id":true,"result":1}',
        b'{"id":null,"result":1}',
        b'{"id":1}',
        b'{"result":1}',
        b'{"id":1,"result":1,"error":{"code":1,"message":"both"}}',
        b'{"id":1,"method":"server.ping","params":[]}',
        b'{"method":"x","params":[],"result":1}',
        b'{"method":7,"params":[]}',
        b"7",
        b"null",
        b'"text"',
        b"[[]]",
        b"{} {}",
    ],
    ids=lambda line: line[:40].decode("latin-1").encode("unicode_escape").decode(),
)
def test_what_no_honest_server_sends_is_refused(line: bytes) -> None:
    with pytest.raises(Misbehaved):
        decode(line)


def test_a_batch_of_too_many_answers_is_refused_before_it_is_decoded() -> None:
    batch = b"[" + b",".join(b'{"id":%d,"result":1}' % at for at in range(MAX_BATCH + 1)) + b"]"
    with pytest.raises(Misbehaved, match="batch"):
        decode(batch)


def test_null_beside_the_one_that_applies_is_the_older_form_and_fine() -> None:
    (answer,) = decode(b'{"id":1,"result":null,"error":null}')
    assert answer == Answer(1, msgspec.Raw(b"null"))
    assert decode(b'{"id":1,"result":null,"error":{"code":1,"message":"no"}}') == [Refusal(1, 1, "no")]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (b'"bare text"', Refusal(3, 0, "bare text")),
        (b'{"code":2}', Refusal(3, 2, "")),
        (b'{"code":"2","message":7}', Refusal(3, 0, 'b\\\'{"code":"2","message":7}\\\'')),
        (b'{"code":1,"message":"a\\u001b[31mb\\u202e"}', Refusal(3, 1, "a\\x1b[31mb\\u202e")),
    ],
)
def test_errors_of_any_form_become_text_that_can_be_shown(error: bytes, expected: Refusal) -> None:
    (refusal,) = decode(b'{"id":3,"error":' + error + b"}")
    assert isinstance(refusal, Refusal)
    assert refusal.code == expected.code
    assert refusal.text.isascii()
    assert refusal.text.isprintable()
    if expected.code:
        assert refusal == expected


def test_a_long_error_is_cut() -> None:
    (refusal,) = decode(b'{"id":3,"error":"' + b"x" * 100_000 + b'"}')
    assert isinstance(refusal, Refusal)
    assert len(refusal.text) == 300


def test_a_line_is_cut_off_at_its_bound_and_not_kept() -> None:
    framer = Lines(limit=1_000)
    assert framer.feed(b"x" * 1_000) == []
    with pytest.raises(Misbehaved) as caught:
        framer.feed(b"y")
    assert caught.value.reason == "line_too_long"
    assert Lines(limit=1_000).feed(b"x" * 1_000 + b"\n") == [b"x" * 1_000]


def test_requests_are_lines_that_any_parser_reads() -> None:
    questions = [Question("a.b", (1, "é")), Question("c")]
    assert json.loads(encode(questions[0], 5)) == {
        "jsonrpc": "2.0",
        "id": 5,
        "method": "a.b",
        "params": [1, "é"],
    }
    batch = encode_batch(questions, 5)
    assert batch.count(b"\n") == 1
    assert batch.endswith(b"\n")
    assert [(one["id"], one["method"]) for one in json.loads(batch)] == [(5, "a.b"), (6, "c")]
