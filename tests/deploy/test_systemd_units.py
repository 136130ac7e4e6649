"""The units as files: systemd understands each line, and lets their processes do little."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.deploy.rootfs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ROOT / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
DROP_INS = sorted(UNITS.glob("*.conf"))


def analyze(*words: str | Path) -> str:
    """Everything that a successful `systemd-analyze` says."""
    if shutil.which("systemd-analyze") is None and not os.environ.get("CI"):
        pytest.skip("systemd-analyze is not here")
    done = subprocess.run(
        ["systemd-analyze", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("unit", [*SERVICES, *UNITS.glob("*.timer")], ids=lambda path: path.name)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path) -> None:
    assert analyze("verify", "--recursive-errors=yes", unit) == ""


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.name)
def test_nor_against_the_service_with_a_drop_in(drop_in: Path, tmp_path: Path) -> None:
    unit = shutil.copy(UNITS / "treasury-watcher.service", tmp_path)
    folder = tmp_path / "treasury-watcher.service.d"
    folder.mkdir()
    shutil.copy(drop_in, folder)
    assert analyze("verify", unit) == ""


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_the_exposure_is_at_most_1_2(unit: Path) -> None:
    said = analyze("security", "--offline=true", "--threshold=12", "--no-pager", unit)
    assert "Overall exposure level" in said


def test_scripts_are_plain_shell() -> None:
    for script in (ROOT / "deploy/install.sh", ROOT / "deploy/package.sh"):
        subprocess.run(["sh", "-n", script], check=True, timeout=60)
        assert os.access(script, os.X_OK)
