"""From nothing to watching by the README alone: its very lines, on a Debian 12 that has seen none of it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.deploy import rootfs
from tests.deploy.container import Container
from tests.deploy.service import CONFIG, ETC, UNIT, Service
from tests.stack.receiver import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("systemd readme")]

EDITS: Final = f"editor {ETC}/watcher.toml"  # what a person does there


def lines() -> list[str]:
    """The commands of the section "As a service"."""
    section = (rootfs.ROOT / "README.md").read_text().split("\n### As a service\n")[1].split("\n#")[0]
    block = re.findall(r"```\n(.*?)```", section, re.DOTALL)[-1]
    return [line.partition("#")[0].strip() for line in block.splitlines()]


@pytest.fixture
def nothing(debian: Path, package: Path, tmp_path: Path) -> Iterator[Container]:
    """Debian with Python and systemd, no network, and what `make package` has made."""
    binds = {"/carried": package.parent, "/srv/tests": rootfs.ROOT / "tests"}
    with Container(debian, tmp_path / "boot.log", binds=binds) as booted:
        yield booted


def test_the_lines_of_the_readme_lead_from_nothing_to_watching(nothing: Container) -> None:
    service = Service(nothing)
    nothing.ok("sh", "-c", f"mkdir /root/new && cp /carried/{UNIT}-*.tar.gz* /root/new")
    said = lines()
    assert EDITS in said
    took: dict[str, float] = {}
    for line in said:
        began = time.monotonic()
        if line == EDITS:
            assert nothing.ok("test", "-s", f"{ETC}/watcher.toml") == ""
            nothing.write(f"{ETC}/watcher.toml", CONFIG)
            nothing.write(f"{ETC}/credentials/ops", SECRET)
        else:
            nothing.ok("sh", "-c", f"cd /root/new && {line}", within=900)
        took[line] = time.monotonic() - began
        if line.endswith("install.sh"):
            service.start_actors()  # a server and a receiver, on the Python that came with it
    began = time.monotonic()
    service.caught_up()
    took["first reading"] = time.monotonic() - began
    print({line: f"{seconds:.1f} s" for line, seconds in took.items()}, f"in all {sum(took.values()):.1f} s")
    assert nothing.property(UNIT, "UnitFileState") == "enabled"
    assert any(event["type"] == "watch.baselined" for event in service.events())
