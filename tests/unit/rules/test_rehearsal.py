"""A movement that did not happen, told as each endpoint would have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from watcher.app.rehearsal import rehearse
from watcher.bitcoin.types import Malformed
from watcher.config.load import load_config
from watcher.core.known import Flow
from watcher.core.rehearsal import Sample, UnknownTreasuryError

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.config.settings import Config

NOW_MS = 1_795_521_600_000
OURS = "bcrt1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnard0ew"
CONFIG = """network = "regtest"
finality = 3
state_directory = "state"
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:1"
[[treasuries]]
name = "alpha"
title = "The first"
dust_sats = 1000
[[treasuries.watch]]
script = "0014000102030405060708090a0b0c0d0e0f10111213"
label = "main"
[[rules]]
name = "all"
on = ["any"]
at = ["seen", 2, "final"]
send_to = ["phone"]
[[rules]]
name = "large"
on = ["outflow"]
min_btc = "1"
at = ["confirmed"]
severity = "critical"
send_to = ["phone", "machine"]
[[rules]]
name = "asleep"
on = ["dormant"]
dormant_days = 365
severity = "critical"
send_to = ["phone"]
[[endpoints]]
name = "phone"
kind = "ntfy"
url = "https://ntfy.example"
topic = "t"
lang = "es"
[[endpoints]]
name = "machine"
kind = "webhook"
url = "https://hooks.example/x"
secret_file = "secret"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "watcher.toml"
    file.write_text(CONFIG)
    return load_config(file, environ={})


def said(config: Config, sample: Sample) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    return [
        (r.notice.event.type, r.notice.step, r.notice.endpoint, str(r.notice.severity), r.notice.rules)
        for r in rehearse(config, sample, NOW_MS)
    ]


def test_every_rung_is_gone_through_and_rules_for_one_endpoint_are_one_notice(config: Config) -> None:
    assert said(config, Sample("alpha", Flow.OUTFLOW, 10**8)) == [
        ("tx.seen", "seen", "phone", "warning", ("all",)),
        ("tx.confirmed", "confirmed", "phone", "critical", ("large",)),
        ("tx.confirmed", "confirmed", "machine", "critical", ("large",)),
        ("tx.confirmed", "2", "phone", "warning", ("all",)),
        ("tx.final", "final", "phone", "warning", ("all",)),
    ]
    assert said(config, Sample("alpha", Flow.OUTFLOW, 10**8 - 1, at=2)) == [
        ("tx.confirmed", "2", "phone", "warning", ("all",))
    ]


def test_old_coins_are_told_when_first_known_and_only_of_what_leaves(config: Config) -> None:
    old = Sample("alpha", Flow.INTERNAL, 5, at="seen", oldest_coin_days=365)
    assert said(config, old) == [("tx.seen", "seen", "phone", "critical", ("asleep", "all"))]
    young = Sample("alpha", Flow.INTERNAL, 5, at="seen", oldest_coin_days=364)
    assert said(config, young) == [("tx.seen", "seen", "phone", "warning", ("all",))]


def test_dust_is_told_to_nobody(config: Config) -> None:
    assert said(config, Sample("alpha", Flow.INFLOW, 999)) == []
    assert len(said(config, Sample("alpha", Flow.INFLOW, 1_000))) == 3


def test_people_get_words_in_their_language_and_machines_the_body(config: Config) -> None:
    sample = Sample("alpha", Flow.OUTFLOW, 150_000_000, to=OURS, at="confirmed")
    phone, machine = rehearse(config, sample, NOW_MS)
    assert phone.title == "[CRÍTICO] Salida de 1.50000000 BTC de The first: en un bloque, 1 confirmación"
    assert f"1.50000000 BTC  {OURS} (desconocida)" in phone.text
    body = json.loads(machine.text)
    assert (body["type"], body["data"]["amount_sats"]) == ("tx.confirmed", -150_000_000)
    assert (body["data"]["severity"], body["data"]["rules"]) == ("critical", ["large"])
    assert [place["label"] for place in body["data"]["movements"]] == ["main"]


def test_what_is_not_there_is_an_error(config: Config) -> None:
    with pytest.raises(UnknownTreasuryError):
        rehearse(config, Sample("beta", Flow.INFLOW, 1), NOW_MS)
    with pytest.raises(Malformed):
        rehearse(config, Sample("alpha", Flow.OUTFLOW, 1, to="nonsense"), NOW_MS)
