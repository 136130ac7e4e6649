"""Stored bodies of every type of event, as the outbox holds them; run as a module it prints their texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from watcher.delivery.texts.message import Message, Room, Texts
from watcher.delivery.texts.words import Named

WALLET = "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo"
SECOND = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
STRANGER = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
TXID = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
RIVAL = "0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098"
BLOCK = "00000000000000000001c4b5a1e8d6f8a0d6b6a3c9f0e7d2b1a4958677263544"
INCIDENT = "inc_9f86d081884c7d659a2feaa0c55ad015"
URL = f"https://watch.example/incidents/{INCIDENT}"
TREASURIES = {
    "el-salvador": Named("El Salvador, National Bitcoin Office", "self_published"),
    "reserve": Named("Reserve", "own"),
}
FOURTEEN = tuple(f"bc1q{letter * 38}" for letter in "acdefghjklmnpq")
ROOM = Room(4_096)


def body(event_type: str, **data: Any) -> str:
    """A stored body: the event's own fields over those that every delivery has."""
    whole = {
        "id": "evt_0123456789abcdef0123456789abcdef", "log": "log-1", "sequence": 42, "incident": INCIDENT,
        "network": "mainnet", "treasury": "el-salvador", "fiat": None, "rules": ["outflow"],
        "severity": "critical", "step": event_type.partition(".")[2], "url": URL,
    }  # fmt: skip
    content = {"type": event_type, "timestamp": "2026-11-24T10:00:00.123Z", "data": {**whole, **data}}
    return json.dumps(content, ensure_ascii=False)


def transaction(event_type: str, flow: str, amount: int = 5_000_000, **data: Any) -> str:
    """A stored body about a transaction of that flow; `amount` without its sign."""
    signed = {"inflow": amount, "outflow": -amount, "internal": -1_200}[flow]
    movements: list[dict[str, Any]] = [
        {"label": "first public wallet", "address": WALLET, "amount_sats": signed}
    ]
    destinations = []
    if flow == "outflow":
        destinations = [{"address": STRANGER, "label": None, "amount_sats": amount - 1_200}]
    if flow == "internal":
        movements = [
            {"label": "first public wallet", "address": WALLET, "amount_sats": -amount},
            {"label": None, "address": SECOND, "amount_sats": amount - 1_200},
        ]
    whole: dict[str, Any] = {
        "txid": TXID, "flow": flow, "amount_sats": signed, "moved_sats": amount, "fee_sats": 1_200,
        "mixed": False, "movements": movements, "destinations": destinations, "counterparties": [],
        "oldest_coin_days": None if flow == "inflow" else 412,
        "delta_sats": {"confirmed": 0, "pending": signed},
        "balance_sats": {"confirmed": 600_000_000_000, "pending": signed},
        "block": None, "confirmations": 0, "trust": "corroborated", "sources": ["home", "blockstream"],
        "detected_late": False, "supersedes": None,
    }  # fmt: skip
    return body(event_type, **{**whole, **data})


def in_block(height: int = 900_000, confirmations: int = 1) -> dict[str, Any]:
    """The fields of a transaction in a block."""
    block = {"height": height, "hash": BLOCK, "time": "2026-11-24T09:58:12Z"}
    return {"block": block, "confirmations": confirmations, "trust": "proven"}


def migration() -> dict[str, Any]:
    """The transaction of 2025: one public address to fourteen new ones."""
    each = 44_857_142_857
    return {
        "amount_sats": -14 * each - 1_200,
        "moved_sats": 14 * each + 1_200,
        "movements": [{"label": "first public wallet", "address": WALLET, "amount_sats": -14 * each - 1_200}],
        "destinations": [{"address": a, "label": None, "amount_sats": each} for a in FOURTEEN],
    }


def read_anew() -> list[dict[str, Any]]:
    """The same, when the fourteen are the treasury's own."""
    paid: list[dict[str, Any]] = migration()["movements"]
    return paid + [{"label": "new wallet", "address": a, "amount_sats": 44_857_142_857} for a in FOURTEEN]


FIAT = {"currency": "USD", "amount": "-4512.20", "rate": "90244.00", "as_of": "2026-11-24T09:55:00Z"}
CORRECTED = {"supersedes": "evt_00000000000000000000000000000042", "trust": "reported"}
OURS: dict[str, Any] = {"treasury": None, "incident": None, "url": None, "severity": "warning"}
DUST = [
    transaction("tx.confirmed", "inflow", 546 + n, **in_block(), severity="info", txid=f"{n:064x}")
    for n in range(5_000)
]

CLAIMED: dict[str, Any] = {
    "condition": "claim",
    "claim": "press-2025-07-18",
    "claimed_sats": 624_000_000_000,
    "says": "at_least",
    "as_of": "2025-07-18",
}

STALE = body("treasury.stale", condition="stale", reason="no_quorum")

SAMPLES: dict[str, list[str]] = {
    "an inflow is seen": [transaction("tx.seen", "inflow", severity="info", rules=["inflow"])],
    "an inflow is first known in a block, after a day without the watcher": [
        transaction("tx.confirmed", "inflow", **in_block(), severity="info", detected_late=True)
    ],
    "an inflow is final": [transaction("tx.final", "inflow", **in_block(confirmations=6), severity="info")],
    "an outflow is seen, with its value in money": [transaction("tx.seen", "outflow", fiat=FIAT)],
    "an outflow has three confirmations": [
        transaction("tx.confirmed", "outflow", **in_block(), step="3")
    ],
    "an address spends for the first time": [transaction("tx.seen", "outflow", first_spend=True)],
    "an announced outflow is final": [
        transaction("tx.final", "outflow", **in_block(confirmations=6), severity="info", expected=True)
    ],
    "an outflow that spends coins of others too, to a script without address": [
        transaction(
            "tx.confirmed",
            "outflow",
            **in_block(),
            mixed=True,
            destinations=[{"address": None, "label": None, "amount_sats": 1, "script_pubkey": "ab" * 300}],
            counterparties=[{"treasury": "reserve", "amount_sats": 700}],
        )
    ],
    "coins move within, on a test network": [
        transaction("tx.confirmed", "internal", **in_block(), severity="info", network="signet")
    ],
    "the fourteen-address migration, first as an outflow": [
        transaction("tx.confirmed", "outflow", **in_block(), **migration())
    ],
    "the fourteen-address migration, read anew": [
        transaction(
            "tx.reclassified",
            "internal",
            14 * 44_857_142_857 + 1_200,
            **{**CORRECTED, **in_block(), "movements": read_anew(), "destinations": []},
            severity="warning",
        )
    ],
    "a reorganisation moved an inflow into another block": [
        transaction("tx.moved", "inflow", **in_block(900_001), severity="info")
    ],
    "a reorganised inflow, still known": [transaction("tx.unconfirmed", "inflow", **CORRECTED)],
    "a reorganised outflow, known nowhere": [
        transaction(
            "tx.unconfirmed", "outflow", **CORRECTED, delta_sats={"confirmed": 5_000_000, "pending": 0}
        )
    ],
    "a theft by replacement": [transaction("tx.replaced", "outflow", by=RIVAL, **CORRECTED)],
    "a replaced inflow": [transaction("tx.replaced", "inflow", by=RIVAL, **CORRECTED)],
    "a dropped inflow": [transaction("tx.dropped", "inflow", reason="absent", **CORRECTED)],
    "a dropped outflow": [transaction("tx.dropped", "outflow", reason="absent", **CORRECTED)],
    "a double-spent inflow": [transaction("tx.conflicted", "inflow", by=RIVAL, **CORRECTED)],
    "a double-spent outflow": [transaction("tx.conflicted", "outflow", by=RIVAL, **CORRECTED)],
    "a dust flood": DUST,
    "a reorganisation": [
        body(
            "chain.reorganized",
            **OURS,
            fork={"height": 899_998, "hash": BLOCK, "time": "2026-11-24T09:18:11Z"},
            depth=2,
            old_tip={"height": 900_000, "hash": BLOCK, "time": "2026-11-24T09:41:07Z"},
            new_tip={"height": 900_001, "hash": BLOCK, "time": "2026-11-24T09:57:42Z"},
        )
    ],
    "a first complete reading": [
        body(
            "watch.baselined",
            severity="info",
            incident=None,
            anchor={"height": 900_000, "hash": BLOCK},
            scripts=20,
            first=True,
            delta_sats={"confirmed": 600_000_000_000, "pending": 0},
            balance_sats={"confirmed": 600_000_000_000, "pending": 0},
        )
    ],
    "added watches": [
        body(
            "watch.added",
            severity="warning",
            incident=None,
            scripts=14,
            addresses=list(FOURTEEN),
            delta_sats={"confirmed": 0, "pending": 0},
            balance_sats={"confirmed": 0, "pending": 0},
        )
    ],
    "a removed watch that holds coins": [
        body(
            "watch.removed",
            incident=None,
            scripts=1,
            addresses=[SECOND],
            delta_sats={"confirmed": -600_000_000_000, "pending": 0},
            balance_sats={"confirmed": 0, "pending": 0},
        )
    ],
    "colliding watches": [body("watch.collided", condition="collision", other="reserve")],
    "watches that no longer collide": [
        body("watch.separated", condition="collision", other="reserve", severity="info")
    ],
    "a changed config": [
        body(
            "config.changed",
            **{**OURS, "severity": "critical"},
            before="sha256:1111",
            after="sha256:2222",
            difference=[
                {"what": "rule", "name": "all", "change": "added"},
                {"what": "rule", "name": "outflow", "change": "loosened"},
                {"what": "endpoint", "name": "ops", "change": "removed"},
                {"what": "treasury", "name": "reserve", "change": "changed"},
            ],
            reason="fewer alarms",
            by="ana",
        )
    ],
    "a redirected endpoint, and another that nobody knows how to reach": [
        body(
            "config.changed",
            **{**OURS, "severity": "critical"},
            before="sha256:1111",
            after="sha256:2222",
            difference=[
                {"what": "endpoint", "name": "desk", "change": "removed"},
                {"what": "endpoint", "name": "ops", "change": "moved"},
            ],
            not_reached=["desk"],
            reason="found at start",
            by=None,
        )
    ],
    "a failing source": [body("source.failed", **OURS, source="blockstream", reason="unavailable")],
    "a recovered source": [
        body("source.recovered", **{**OURS, "severity": "info"}, source="blockstream", reason="connected")
    ],
    "a lying source": [body("source.disagreed", **OURS, source="blockstream", reason="omitted")],
    "a source that agrees again": [body("source.agreed", **OURS, source="blockstream", reason="agrees")],
    "a pinned key": [
        body("source.pinned", **OURS, source="home", fingerprint="sha256:abcd", reason="first_use")
    ],
    "a stale treasury": [STALE],
    "a fresh treasury": [body("treasury.fresh", condition="stale", severity="critical", reason="read")],
    "a low balance": [
        body(
            "balance.crossed",
            condition="balance_below",
            rule="low",
            threshold_sats=10**11,
            observed_sats=99_999_999_999,
        )
    ],
    "a restored balance": [
        body(
            "balance.restored",
            condition="balance_below",
            rule="low",
            threshold_sats=10**11,
            observed_sats=101 * 10**9,
            severity="info",
        )
    ],
    "a claim that does not hold": [
        body("claim.mismatched", **CLAIMED, observed_sats=600_000_000_000),
    ],
    "a claim that holds again": [body("claim.matched", **CLAIMED, observed_sats=624_000_000_000)],
    "a failing endpoint": [
        body("endpoint.failed", **OURS, endpoint="ops", condition="endpoint", reason="gone")
    ],
    "a recovered endpoint": [body("endpoint.recovered", **OURS, endpoint="ops", condition="endpoint")],
    "a paused endpoint": [
        body("endpoint.paused", **OURS, endpoint="ops", reason="move", by="ana", until="2026-11-24T12:00:00Z")
    ],
    "a note": [body("incident.noted", text="the custodian confirms: planned", by="ana", severity="info")],
    "an announced movement": [
        body(
            "movement.expected",
            to=[STRANGER],
            max_sats=100_000_000,
            until="2026-11-25T00:00:00Z",
            reason="payroll",
            by="ana",
            severity="info",
        )
    ],
    "a test": [body("watcher.test", **{**OURS, "severity": "info", "rules": []}, endpoint="ops")],
    "a rehearsed outflow": [
        body(
            "watcher.test",
            **{**OURS, "severity": "info", "rules": []},
            endpoint="ops",
            sample={
                "title": "[CRITICAL] Outflow of 0.50000000 BTC: seen",
                "type": "tx.seen",
                "step": "seen",
                "severity": "critical",
                "rules": ["theft"],
            },
        )
    ],
    "a canary": [body("watcher.canary", **{**OURS, "severity": "info", "rules": []})],
    "an event of a later version": [
        body("moon.landed", **OURS, crater={"name": "Tycho", "deep": {"er": {"x": 1}}}, many=list(range(40)))
    ],
    "a flapping source": [
        body("source.failed", **OURS, source="blockstream", reason="unavailable", sequence=n)
        for n in range(6)
    ],
}  # fmt: skip


def texts(lang: str) -> Texts:
    """The messages of a language."""
    return Texts(lang, TREASURIES)


def rendered(message: Message) -> str:
    """A message as it stands in the file of samples."""
    return f"{message.title}\n\n{message.body}\n"


def document(lang: str) -> str:
    """Every sample in one language, to be read by eye."""
    writer = texts(lang)
    parts = [f"=== {name}\n{rendered(writer.message(bodies, ROOM))}" for name, bodies in SAMPLES.items()]
    late = writer.message([STALE], ROOM, overtaken=True)
    parts.append(f"=== a stale treasury, arriving after it is fresh again\n{rendered(late)}")
    return "\n".join(parts)


def path(lang: str) -> Path:
    """Where the samples of a language are kept."""
    return Path(__file__).with_name(f"texts_{lang}.txt")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        path(each).write_text(document(each))
