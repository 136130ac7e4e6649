"""What the README says of names and values is what the code has."""

from __future__ import annotations

import re
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from watcher.cli.commands import COMMANDS
from watcher.cli.failures import ExitCode
from watcher.core.events import CORRECTIONS, RUNG_EVENTS
from watcher.delivery.signing import new_secret
from watcher.delivery.texts.en import ENGLISH
from watcher.web import labels
from watcher.web.series import SERIES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def table(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table whose first row begins with this heading, without that row and the rule."""
    (block,) = re.findall(rf"^\| {heading} \|.*\n((?:\|.*\n)+)", README, re.MULTILINE)
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in block.splitlines()]
    return rows[1:]


def names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]*)`", cell))


def test_every_metric_is_there_with_its_kind_labels_and_sentence() -> None:
    told = [(*names(name), kind, names(found), says) for name, kind, found, says in table("metric")]
    assert told == [(s.name, s.kind, s.labels, s.help) for s in SERIES.values()]


def test_no_metric_is_named_that_does_not_exist() -> None:
    assert set(re.findall(r"\bwatcher_[a-z_]+", README)) <= SERIES.keys()


@pytest.mark.parametrize(
    ("label", "metric", "values"),
    [
        ("position", "watcher_treasury_balance_satoshis", labels.POSITIONS),
        ("flow", "watcher_events_total", tuple(value for value in labels.FLOW_VALUES if value)),
        ("severity", "watcher_events_total", labels.SEVERITIES),
        ("condition", "watcher_condition_active", labels.CONDITIONS),
        ("state", "watcher_quorum_sources", labels.QUORUM_STATES),
        ("outcome", "watcher_source_requests_total", labels.REQUEST_OUTCOMES),
        ("outcome", "watcher_deliveries_total", labels.DELIVERY_OUTCOMES),
        ("reason", "watcher_source_strikes_total", labels.STRIKE_REASONS),
    ],
)
def test_the_closed_label_values_are_the_codes(label: str, metric: str, values: tuple[str, ...]) -> None:
    (told,) = [row for row in table("label") if names(row[0]) == (label,) and metric in names(row[1])]
    assert names(told[2]) == values
    assert label in SERIES[metric].labels


def test_every_reason_for_a_strike_is_listed() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "watcher").rglob("*.py"))
    assert set(re.findall(r'Misbehaved\(\s*"(\w+)"', sources)) <= set(labels.STRIKE_REASONS)


def test_the_commands_are_those_there_are() -> None:
    assert [row[0] for row in table("command")] == [f"`{name}`" for name in COMMANDS]


def test_the_exit_codes_are_those_there_are() -> None:
    assert [int(row[0]) for row in table("exit code")] == list(ExitCode)


def test_every_event_is_explained() -> None:
    told = [name for row in table("event") for name in names(row[0])]
    assert {name for name in told if name.startswith("tx.")} == RUNG_EVENTS | CORRECTIONS | {"tx.moved"}
    assert sorted(told) == sorted(name for name in {**ENGLISH.states, **ENGLISH.titles} if name)


def test_its_python_verifies_a_signature(tmp_path: Path) -> None:
    secret = new_secret()
    (tmp_path / "ops.secret").write_text(secret + "\n")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    scope: dict[str, Any] = {}
    with chdir(tmp_path):  # as its reader would run it, beside the secret
        exec(code, scope)
    now, body = datetime.now(UTC), '{"type": "tx.seen"}'
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("evt_1", now, body),
    }
    assert scope["event_of"](headers, body.encode()) == {"type": "tx.seen"}
    with pytest.raises(WebhookVerificationError):
        scope["event_of"](headers, b'{"type": "tx.final"}')
