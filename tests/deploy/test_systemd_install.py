"""Installing, again, newer, and not any more: without a network, with only Python and systemd."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.deploy import rootfs
from tests.deploy.container import Container
from tests.deploy.service import CONFIG, ETC, STATE, UNIT, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# a booted container is a real part, and tests that share one stay on one worker
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("systemd install")]

OPT = "/opt/treasury-watcher"
# what an installation may write: nothing else is there before, nothing but the state is there after
PLACES = ("/opt", "/etc", "/usr", "/var/lib", "/run/treasury-watcher", "/run/credentials")


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a next version of the same program."""
    source = tmp_path_factory.mktemp("newer") / "source"
    left_out = shutil.ignore_patterns(".*", "tests", "__pycache__", "dist", "build")
    shutil.copytree(rootfs.ROOT, source, ignore=left_out)
    project = source / "pyproject.toml"
    was, then = f'\nversion = "{rootfs.version()}"\n', '\nversion = "99.0.0"\n'
    assert was in project.read_text()
    project.write_text(project.read_text().replace(was, then))
    return rootfs.wheelhouse(tmp_path_factory.mktemp("newer-dist"), source=source)


@pytest.fixture
def container(debian: Path, package: Path, newer: Path, tmp_path: Path) -> Iterator[Container]:
    """Debian with Python and systemd, no network, and nothing installed; one for each test."""
    binds = {"/package": package, "/newer": newer, "/srv/tests": rootfs.ROOT / "tests"}
    with Container(debian, tmp_path / "boot.log", binds=binds) as booted:
        yield booted


def files(container: Container) -> set[str]:
    """Every path there is in those places, but what systemd and Debian themselves keep there."""
    found = container.ok("find", *(place for place in PLACES if "/run" not in place), "-xdev").split("\n")
    noise = (
        "/var/lib/systemd",
        "/var/lib/private",
        "/etc/passwd",
        "/etc/group",
        "/etc/shadow",
        "/etc/gshadow",
    )
    return {path for path in found if path and not path.startswith(noise) and "__pycache__" not in path}


def test_from_nothing_it_is_installed_and_a_second_time_changes_nothing(container: Container) -> None:
    service = Service(container)
    assert f"{UNIT} {rootfs.version()}-" in service.install()
    # the config that comes with it is valid as it is, names the state that commands look for, and runs
    assert STATE in container.ok("treasury-watcher", "check")
    assert container.property(UNIT, "UnitFileState") == "enabled"
    assert service.state == "inactive"  # the operator starts it, when the config says what is to be watched
    assert container.ok("stat", "-c", "%U %G %a", ETC, f"{ETC}/credentials", f"{ETC}/watcher.toml").split(
        "\n"
    )[:3] == [f"root {UNIT} 750", "root root 700", f"root {UNIT} 640"]
    service.configure()
    service.start()

    listing = ("find", OPT, ETC, "-printf", "%p %T@ %m %u\n")
    stamp, pid = container.ok(*listing), service.pid
    service.install()
    assert container.ok(*listing) == stamp
    assert service.pid == pid


def test_an_upgrade_keeps_state_config_and_what_is_still_to_be_delivered(container: Container) -> None:
    service = Service(container)
    service.install()
    service.configure()
    service.start()
    service.start_actors()
    service.caught_up()
    service.direct("answer/500")
    service.direct("pay")
    container.wait(lambda: bool(service.received()), within=120, what="a webhook that is refused")
    events, config = service.events(), container.ok("cat", f"{ETC}/watcher.toml")
    pid = service.pid

    assert f"{UNIT} 99.0.0-" in service.install("/newer")
    assert service.pid not in {0, pid}
    assert "99.0.0" in container.ok("readlink", f"{OPT}/current")
    assert len(container.ok("sh", "-c", f"ls -d {OPT}/*-*").split()) == 2  # the one before, for a way back
    assert service.events()[: len(events)] == events
    assert container.ok("cat", f"{ETC}/watcher.toml") == config
    waiting = {event["data"]["id"] for event in events if event["type"] == "tx.seen"}
    assert waiting
    service.direct("answer/204")
    container.ok("treasury-watcher", "redeliver", "--endpoint", "ops", "--since", "1")
    container.wait(lambda: waiting <= service.received_ids(), within=120, what="what was owed")
    service.caught_up()


def test_a_version_that_refuses_the_config_does_not_take_over(container: Container) -> None:
    service = Service(container)
    service.install()
    service.configure()
    service.start()
    pid, current = service.pid, container.ok("readlink", f"{OPT}/current")
    service.configure(CONFIG.replace("[http]", "[htpt]"))
    refused = container.run("sh", "/newer/install.sh", within=900)
    assert refused.code == 1
    assert "nothing was changed" in refused.err
    assert container.ok("readlink", f"{OPT}/current") == current
    assert service.pid == pid


def test_uninstalled_only_the_state_is_left(container: Container) -> None:
    before = files(container)
    service = Service(container)
    service.install()
    service.configure()
    service.start()
    assert files(container) - before
    service.drop_in("mine", "[Service]\nNice=1\n")
    told = container.ok("sh", "/package/install.sh", "--uninstall")
    left = files(container) - before
    assert left, "the ledger stays"
    assert {path for path in left if not path.startswith(STATE)} == set()
    assert f"{STATE}/ledger.sqlite" in left
    (drop_in,) = [path for path in left if path.endswith("/mine.conf")]
    (kept,) = [path for path in left if path.endswith("/watcher.toml")]
    assert kept.removesuffix("/watcher.toml") in told
    assert drop_in == kept.replace("watcher.toml", f"{UNIT}.service.d/mine.conf")
    assert container.run("systemctl", "cat", UNIT).code != 0
    assert container.run("treasury-watcher", "--version").code != 0
    # and again from there: the ledger is taken up as it is
    service.install()
    service.configure()
    service.start()
    assert service.state == "active"
