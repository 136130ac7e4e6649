"""The protocol's answers, and what is refused in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from watcher.bitcoin.headers import HEADER_SIZE
from watcher.bitcoin.networks import PARAMS, Network
from watcher.bitcoin.types import Txid
from watcher.sources import wire
from watcher.sources.base import Claim, Misbehaved, NotThere, SourceError, TooBusy, Unavailable
from watcher.sources.jsonrpc import Refusal, decode
from watcher.sources.refusals import refused

A, B, C = Txid("a1" * 32), Txid("b2" * 32), Txid("c3" * 32)
HEADER = PARAMS[Network.MAINNET].genesis_header
EXAMPLES = json.loads((Path(__file__).parents[1] / "vectors" / "electrum_protocol_examples.json").read_text())
FORMS = json.loads((Path(__file__).parent / "error_forms.json").read_text())


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode())


def line(txid: str, height: Any) -> dict[str, Any]:
    return {"tx_hash": txid, "height": height}


def test_a_history_loses_its_magic_heights_and_keeps_its_order_and_status() -> None:
    example = EXAMPLES["status_example"]
    claims, status = wire.read_history(raw(example["history"]))
    assert status == example["status"]
    assert [claim.height for claim in claims] == [2472, 2473, 2473, None, None, None]
    assert [claim.txid for claim in claims] == [entry["tx_hash"] for entry in example["history"]]


def test_an_empty_history_has_no_status() -> None:
    assert wire.read_history(raw([])) == ((), None)


def test_a_fee_in_a_history_is_not_looked_at() -> None:
    assert wire.read_history(raw([{**line(A, 0), "fee": "?"}]))[0] == (Claim(A, None),)


@pytest.mark.parametrize(
    "history",
    [
        [line(A, -2)],
        [line(A, 2**31)],
        [line(A, 2**63)],
        b'[{"tx_hash":"' + A.encode() + b'","height":' + b"9" * 5_000 + b"}]",
        b'[{"tx_hash":"' + A.encode() + b'","height":-0}]',
        b'[{"tx_hash":"' + A.encode() + b'","height":1e999}]',
        [line(A, 1.0)],
        [line(A, 1.5)],
        [line(A, True)],
        [line(A, "5")],
        [line(A, None)],
        [line(A.upper(), 5)],
        [line(A[:-1], 5)],
        [line(A + "\n", 5)],
        [line(A, 5), line(A, 5)],
        [line(A, 5), line(A, 6)],
        [line(A, 0), line(A, -1)],
        [line(A, 6), line(B, 5)],
        [line(A, 0), line(B, 5)],
        [line(A, 5), line(B, -1), line(C, 6)],
        {"history": []},
        [[A, 5]],
        [{"height": 5}],
        None,
        "",
    ],
    ids=lambda history: str(history)[:60],
)
def test_a_history_no_honest_server_tells_is_refused_whole(history: Any) -> None:
    with pytest.raises(Misbehaved) as caught:
        wire.read_history(raw(history))
    assert caught.value.reason == "history"


def test_a_transaction_both_confirmed_and_not_is_a_race_and_no_strike() -> None:
    with pytest.raises(NotThere):
        wire.read_history(raw([line(A, 5), line(B, 0), line(A, 0)]))


def test_headers_come_in_the_form_of_1_4_and_of_1_6() -> None:
    example = EXAMPLES["headers_0_1"]
    joined = {"count": 2, "hex": "".join(example["headers"]), "max": 2016}
    modern = wire.read_headers(raw(example), 2)
    assert wire.read_headers(raw(joined), 2) == modern
    assert modern[0][0] == HEADER
    assert [len(header) for header in modern[0]] == [HEADER_SIZE] * 2


@pytest.mark.parametrize(
    "told",
    [
        {"count": 1, "headers": [HEADER.hex() + "00"], "max": 2016},
        {"count": 2, "headers": [HEADER.hex()], "max": 2016},
        {"count": 3, "headers": [HEADER.hex()] * 3, "max": 2016},
        {"count": 1, "hex": HEADER.hex()[:-2], "max": 2016},
        {"count": 1, "hex": "zz" * 80, "max": 2016},
        {"count": 1, "hex": HEADER.hex()[:-1] + "é", "max": 2016},
        {"count": 1, "max": 2016},
        {"count": -1, "hex": "", "max": 2016},
        [],
    ],
)
def test_headers_that_do_not_add_up_are_refused(told: Any) -> None:
    with pytest.raises(Misbehaved) as caught:
        wire.read_headers(raw(told), 2)
    assert caught.value.reason == "header"


def test_a_server_that_gives_fewer_headers_at_a_time_is_asked_for_more() -> None:
    told = {"count": 1, "headers": [HEADER.hex()], "max": 1}
    assert wire.read_headers(raw(told), 2) == ((HEADER,), True)
    assert wire.read_headers(raw({**told, "max": 2016}), 2) == ((HEADER,), False)
    assert wire.read_headers(raw({"count": 0, "headers": [], "max": 0}), 2) == ((), False)


@pytest.mark.parametrize(
    "told",
    [
        {"height": -1, "hex": HEADER.hex()},
        {"height": 2**31, "hex": HEADER.hex()},
        {"height": "5", "hex": HEADER.hex()},
        {"height": 5, "hex": HEADER.hex()[:-2]},
        {"height": 5, "hex": " " + HEADER.hex()},
        {"height": 5},
    ],
)
def test_a_tip_that_is_no_height_and_header_is_refused(told: Any) -> None:
    with pytest.raises(Misbehaved):
        wire.read_tip(raw(told))


@pytest.mark.parametrize(
    "told",
    [
        {"merkle": ["ab" * 31], "pos": 0, "block_height": 5},
        {"merkle": ["AB" * 32], "pos": 0, "block_height": 5},
        {"merkle": [A] * 65, "pos": 0, "block_height": 5},
        {"merkle": [7], "pos": 0, "block_height": 5},
        {"merkle": [A], "pos": -1, "block_height": 5},
        {"merkle": [A], "pos": 2**64, "block_height": 5},
        {"merkle": [A], "pos": 0, "block_height": 6},
        {"merkle": [A], "block_height": 5},
    ],
)
def test_a_branch_that_is_no_list_of_hashes_is_refused(told: Any) -> None:
    with pytest.raises(Misbehaved) as caught:
        wire.read_branch(raw(told), 5)
    assert caught.value.reason == "branch"


@pytest.mark.parametrize("told", ["ab" * 31, "AB" * 32, 7, [], {}])
def test_a_status_that_is_no_hash_is_refused(told: Any) -> None:
    with pytest.raises(Misbehaved):
        wire.read_status(raw(told))


@pytest.mark.parametrize("protocol", ["1.4", "1.4.2", "1.5", "1.6", "1.6.1"])
def test_protocols_from_1_4_to_1_6_are_spoken(protocol: str) -> None:
    assert wire.read_version(raw(["Server\x1b 1", protocol])) == ("Server\\x1b 1", protocol)


@pytest.mark.parametrize("protocol", ["1.3", "1.7", "2.0", "", "1", "1.4.2.3", "1.4\n", "x", "1.99999999999"])
def test_other_protocols_are_not(protocol: str) -> None:
    with pytest.raises(Unavailable):
        wire.read_version(raw(["Server", protocol]))


EXPECTED: dict[str, type[SourceError]] = {
    "history too large": TooBusy,
    "response too large": TooBusy,
    "too many txs/utxos": TooBusy,
}


@pytest.mark.parametrize(
    "form", [form for form in FORMS["electrum"] if "error" in form], ids=lambda f: f["case"]
)
def test_real_servers_errors_mean_what_they_mean(form: dict[str, Any]) -> None:
    told = json.dumps({"id": 1, "error": form["error"]}).encode()
    (refusal,) = decode(told)
    assert isinstance(refusal, Refusal)
    assert type(refused(refusal)) is EXPECTED.get(form["case"], Unavailable)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (0, "Too many history transactions (>500). Contact support to raise limits.", TooBusy),
        (-32600, "Too many history transactions (>500). Contact support to raise limits.", TooBusy),
        (
            2,
            "daemon error: DaemonError({'code': -5, 'message': 'No such mempool or blockchain ...'})",
            NotThere,
        ),
        (1, f"tx {A} not in block at height 5", NotThere),
        (1, "height 999,999 out of range", NotThere),
        (4, "Subscription limit reached", Unavailable),
        (99, "", Unavailable),
    ],
)
def test_other_errors_mean_what_they_mean(code: int, text: str, kind: type[SourceError]) -> None:
    assert type(refused(Refusal(1, code, text))) is kind


def test_excessive_use_says_how_long_to_wait() -> None:
    excessive = refused(Refusal(1, -101, "excessive resource usage"))
    assert isinstance(excessive, Unavailable)
    assert excessive.retry_after == 60
