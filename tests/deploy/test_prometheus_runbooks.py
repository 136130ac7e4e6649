"""Each alert has its runbook, and the runbooks name only what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
RUNBOOKS: Final = sorted((DEPLOY / "runbooks").glob("*.md"))
GENERAL: Final = frozenset(
    {
        "README",
        "audit",
        "backups",
        "first-day",
        "moving-hosts",
        "privacy",
        "promises",
        "rotation",
        "sizing",
        "two-daemons",
        "upgrade",
    }
)
# The command line as CONTRACT fixes it.
COMMANDS: Final = frozenset(
    {"init", "run", "check", "reload", "status", "history", "events", "rules", "endpoints", "deliveries"}
    | {"redeliver", "pause", "expect", "note", "suggest", "sources", "verify", "report", "backup", "restore"}
    | {"schema", "secret"}
)


def alerts() -> set[str]:
    texts = [path.read_text() for path in DEPLOY.glob("prometheus/*/*.yml")]
    return {name for text in texts for name in re.findall(r"- alert: (\w+)", text)}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS} == alerts() | GENERAL


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_names_only_commands_and_pages_that_exist(path: Path) -> None:
    text = re.sub(r"\s+", " ", path.read_text())
    used = set(re.findall(r"`treasury-watcher ([a-z]+)", text))
    assert used <= COMMANDS
    linked = set(re.findall(r"\]\(([\w-]+)\.md\)", text))
    assert linked <= {page.stem for page in RUNBOOKS} - {path.stem}


@pytest.mark.parametrize("name", sorted(alerts()))
def test_the_runbook_of_an_alert_says_what_it_means_and_what_to_do(name: str) -> None:
    text = (DEPLOY / f"runbooks/{name}.md").read_text()
    assert text.startswith(f"# {name}\n\n**Means.** ")
    assert "**Do" in text or "When it stops coming" in text
    assert "treasury-watcher" in text
    assert len(text.splitlines()) < 40


def test_the_index_leads_to_every_runbook() -> None:
    index = (DEPLOY / "runbooks/README.md").read_text()
    linked = set(re.findall(r"\]\(([\w-]+)\.md\)", index))
    assert linked == {path.stem for path in RUNBOOKS} - {"README"}
