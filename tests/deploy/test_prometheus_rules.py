"""The rules and the routing, by the checkers that come with Prometheus and Alertmanager."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.stack import fetch
from watcher.web.series import SERIES

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
RULES: Final = sorted(DEPLOY.glob("prometheus/rules/*.yml")) + sorted(
    DEPLOY.glob("prometheus/optional/*.yml")
)
TESTS: Final = sorted(DEPLOY.glob("prometheus/tests/*.yml"))
ALERTMANAGER: Final = DEPLOY / "alertmanager/alertmanager.yml"


@pytest.fixture(scope="module")
def programs() -> fetch.Monitoring:
    return fetch.monitoring()


def checked(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.real
def test_promtool_accepts_the_config_and_every_rule(programs: fetch.Monitoring) -> None:
    checked(programs.promtool, "check", "config", DEPLOY / "prometheus/prometheus.yml")
    checked(programs.promtool, "check", "rules", "--lint-fatal", *RULES)


@pytest.mark.real
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_fire_when_they_must_and_never_else(programs: fetch.Monitoring, path: Path) -> None:
    checked(programs.promtool, "test", "rules", path)


@pytest.mark.real
def test_amtool_accepts_the_routes(programs: fetch.Monitoring) -> None:
    checked(programs.amtool, "check-config", ALERTMANAGER)


@pytest.mark.real
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "Watchdog", "severity": "none"}, "dead-mans-switch"),
        ({"alertname": "WatcherDown", "instance": "a", "severity": "critical"}, "operators"),
        ({"alertname": "WatcherTreasuryStale", "treasury": "t", "instance": "a"}, "operators"),
        ({"alertname": "WatcherDeadLetters", "endpoint": "ops", "instance": "a"}, "operators"),
        ({"alertname": "TreasuryOutflow", "treasury": "t", "incident": "inc_1"}, "treasurers"),
        ({"alertname": "WatcherSource", "incident": "inc_2"}, "treasurers"),
        ({"alertname": "WatcherOutflow", "treasury": "t"}, "treasurers"),
    ],
)
def test_an_alert_goes_to_its_receiver(
    programs: fetch.Monitoring, labels: dict[str, str], receiver: str
) -> None:
    words = [f"{name}={value}" for name, value in labels.items()]
    routed = checked(programs.amtool, "config", "routes", "test", f"--config.file={ALERTMANAGER}", *words)
    assert routed.split() == [receiver]


def test_every_alert_is_seen_firing_in_a_test() -> None:
    tests = "".join(path.read_text() for path in TESTS)
    expected = set(re.findall(r'labels: .*alertname="(\w+)"', tests))
    assert expected == set(alerts())


def test_rules_and_dashboards_use_no_metric_that_does_not_exist() -> None:
    texts = [path.read_text() for path in (*RULES, *DEPLOY.glob("grafana/dashboards/*.json"))]
    # a recorded name has colons around the metric's
    used = {
        name.removesuffix("_bucket")
        for text in texts
        for name in re.findall(r"(?<![:\w])watcher_[a-z_]+(?![:\w])", text)
    }
    assert used <= SERIES.keys()


def alerts() -> list[str]:
    """The names of all alerts, those that are off by default included."""
    return [name for path in RULES for name in re.findall(r"- alert: (\w+)", path.read_text())]
