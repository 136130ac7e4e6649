"""The texts: read by eye in `texts_en.txt` and `texts_es.txt`, and held to what no text may do."""

from __future__ import annotations

import dataclasses
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.samples import (
    DUST,
    FOURTEEN,
    INCIDENT,
    SAMPLES,
    STRANGER,
    TXID,
    URL,
    WALLET,
    body,
    document,
    in_block,
    migration,
    path,
    texts,
    transaction,
)
from watcher.app.daemon import BY_SIGNAL
from watcher.app.relist import FOUND_AT_START
from watcher.app.reload import BY_ITSELF
from watcher.core.book import ABSENT, ORPHANED
from watcher.core.events import CORRECTIONS, RUNG_EVENTS
from watcher.delivery.texts.en import ENGLISH
from watcher.delivery.texts.es import SPANISH
from watcher.delivery.texts.message import MAX_TITLE, Room
from watcher.delivery.verdict import GONE, Reason
from watcher.ledger.pins import FIRST_USE, OPERATOR
from watcher.sources.base import SourceError
from watcher.web.labels import STRIKE_REASONS

LANGUAGES = ("en", "es")
# CONTRACT's table, without the transactions'
OTHERS = [
    "chain.reorganized",
    "watch.baselined",
    "watch.added",
    "watch.removed",
    "watch.collided",
    "watch.separated",
    "config.changed",
    "source.failed",
    "source.recovered",
    "source.disagreed",
    "source.agreed",
    "source.pinned",
    "treasury.stale",
    "treasury.fresh",
    "balance.crossed",
    "balance.restored",
    "claim.mismatched",
    "claim.matched",
    "endpoint.failed",
    "endpoint.recovered",
    "endpoint.paused",
    "incident.noted",
    "movement.expected",
    "watcher.test",
    "watcher.canary",
]
WIDE = Room(100_000)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_samples_read_as_in_the_file(lang: str) -> None:
    """After a deliberate change: `python -m tests.delivery.samples en es`, and read them."""
    assert document(lang) == path(lang).read_text()


@pytest.mark.parametrize("catalogue", [ENGLISH, SPANISH], ids=LANGUAGES)
def test_every_type_of_event_has_its_words(catalogue: Any) -> None:
    transactions = RUNG_EVENTS | CORRECTIONS | {"tx.moved"}
    assert catalogue.states.keys() == transactions
    assert catalogue.titles.keys() == {*OTHERS, ""}
    assert catalogue.meanings.keys() == transactions | {*OTHERS, ""}
    sampled = {json.loads(bodies[0])["type"] for bodies in SAMPLES.values()}
    assert transactions | set(OTHERS) <= sampled


def test_the_languages_say_the_same_things_with_the_same_values() -> None:
    def placeholders(template: str) -> set[str]:
        return {field for _, field, _, _ in string.Formatter().parse(template) if field}

    for field in dataclasses.fields(ENGLISH):
        english, spanish = getattr(ENGLISH, field.name), getattr(SPANISH, field.name)
        assert english.keys() == spanish.keys(), field.name
        for key, template in english.items():
            ours, theirs = (" ".join(t) if isinstance(t, tuple) else t for t in (template, spanish[key]))
            assert placeholders(ours) == placeholders(theirs), (field.name, key)


@pytest.mark.parametrize("catalogue", [ENGLISH, SPANISH], ids=LANGUAGES)
def test_every_reason_of_the_closed_lists_has_its_words(catalogue: Any) -> None:
    away = {kind.reason for kind in (SourceError, *SourceError.__subclasses__())}
    stale = {"no_source", "no_quorum", "too_old", "quarantined"}
    ended = {"read", "connected", "agrees"}
    dropped, pinned = {ABSENT, ORPHANED}, {FIRST_USE, OPERATOR}
    told = away | stale | ended | dropped | pinned | {*STRIKE_REASONS, *Reason, GONE}
    assert catalogue.reasons.keys() == told
    assert catalogue.occasions.keys() == {author.reason for author in (FOUND_AT_START, BY_ITSELF, BY_SIGNAL)}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("event_type", ["config.changed", "endpoint.paused", "movement.expected"])
def test_a_reason_that_somebody_wrote_stands_as_it_was_written(lang: str, event_type: str) -> None:
    for written in ("version", "gone", "to_cold_store"):
        assert f": {written}\n" in texts(lang).message([body(event_type, reason=written)], WIDE).body


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_comes_after_later_news_says_so_first_and_loses_nothing(lang: str) -> None:
    for bodies in ([transaction("tx.seen", "outflow")], DUST[:5]):
        plain = texts(lang).message(bodies, WIDE)
        late = texts(lang).message(bodies, WIDE, overtaken=True)
        said = {"en": "OVERTAKEN by a later message: ", "es": "SUPERADO por un mensaje posterior: "}[lang]
        loud, _, title = late.title.partition(said)
        assert loud + title == plain.title
        assert late.body.splitlines()[1:] == plain.body.splitlines()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_outflow_says_what_from_where_to_which_whole_address_and_how_sure(lang: str) -> None:
    message = texts(lang).message([transaction("tx.seen", "outflow")], WIDE)
    unknown = {"en": "unknown", "es": "desconocida"}[lang]
    assert "0.05000000 BTC" in message.title
    for said in ("-0.05000000 BTC", f"{WALLET} (first public wallet)", f"{STRANGER} ({unknown})", TXID, URL):
        assert said in message.body
    assert (message.severity, message.incident, message.link) == ("critical", INCIDENT, URL)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("limit", [300, 1_000, 2_000, 4_096])
def test_an_address_is_shown_whole_or_not_at_all_and_the_link_always(lang: str, limit: int) -> None:
    message = texts(lang).message(
        [transaction("tx.confirmed", "outflow", **in_block(), **migration())], Room(limit)
    )
    assert len(message.body) <= limit
    assert message.body.endswith(URL)
    words = message.body.split()
    assert all(word == WALLET or word in FOURTEEN for word in words if word.startswith(("bc1", "32ix")))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_is_not_shown_is_counted_and_summed(lang: str) -> None:
    whole = migration()
    whole["destinations"] += [{"address": f"bc1q{n:038}", "label": None, "amount_sats": 1} for n in range(36)]
    whole["destinations_omitted"] = {"count": 100, "amount_sats": 200}
    message = texts(lang).message([transaction("tx.seen", "outflow", **whole)], WIDE)
    assert {"en": "and 130 more, 0.00000230 BTC", "es": "y 130 más, 0.00000230 BTC"}[lang] in message.body


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_flood_is_one_message_with_count_sum_the_largest_and_a_link(lang: str) -> None:
    message = texts(lang).message(DUST, Room(4_096))
    assert message.title.startswith("5000 ")
    assert "0.15227500 BTC" in message.title
    assert message.body.count(WALLET) == 5
    assert "+0.00005545 BTC" in message.body
    assert message.body.endswith("https://watch.example/treasuries/el-salvador")


def test_a_flood_is_as_loud_as_its_loudest() -> None:
    flood = [*DUST[:5], transaction("tx.confirmed", "inflow", **in_block(), severity="critical")]
    assert texts("en").message(flood, WIDE).severity == "critical"


@pytest.mark.parametrize("event_type", ["tx.seen", "source.failed", "incident.noted"])
def test_text_from_outside_makes_no_line_no_mark_and_no_flood(event_type: str) -> None:
    label = "safe\r\nTo: bc1qevil\u2028x\u202egnp.exe\x1b[31m\x00\u200b" + "long" * 500
    if event_type == "tx.seen":
        hostile = transaction(
            event_type, "inflow", movements=[{"label": label, "address": WALLET, "amount_sats": 1}]
        )
    else:
        hostile = body(event_type, source=label, reason=label, text=label, by={label: [label, {"x": label}]})
    message = texts("en").message([hostile], WIDE)
    assert not any(line.startswith("To: bc1qevil") for line in message.body.splitlines())
    assert message.title.isprintable()
    assert message.body.replace("\n", "").isprintable()
    assert len(message.title) <= MAX_TITLE
    assert len(message.body) < 6_000


def test_braces_from_outside_are_text() -> None:
    message = texts("en").message([body("source.failed", source="{btc.__class__}", reason="{0}")], WIDE)
    assert "{btc.__class__}" in message.title


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = (
    "flow", "treasury", "movements", "destinations", "balance_sats", "delta_sats", "block", "fiat", "url",
    "reason", "severity", "incident", "confirmations", "moved_sats", "amount_sats", "sources", "scripts",
)  # fmt: skip


@given(
    event_type=st.sampled_from([*sorted(RUNG_EVENTS | CORRECTIONS), *OTHERS, "x"]),
    data=st.dictionaries(st.sampled_from(_FIELDS) | st.text(), _anything, max_size=8),
    lang=st.sampled_from(LANGUAGES),
    copies=st.integers(1, 3),
)
def test_whatever_a_body_holds_there_is_a_text(
    event_type: str, data: dict[str, Any], lang: str, copies: int
) -> None:
    stored = json.dumps({"type": event_type, "timestamp": "2026-11-24T10:00:00Z", "data": data})
    message = texts(lang).message([stored] * copies, Room(4_096))
    assert message.title
    assert message.title.isprintable()
    assert message.body
