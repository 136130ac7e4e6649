"""The container with the installed service, booted once for each file of tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.deploy import rootfs
from tests.deploy.container import Container
from tests.deploy.service import Service
from tests.stack.kept import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def debian() -> Path:
    """The folder to boot from."""
    why = rootfs.impossible()
    if why is None:
        try:
            return rootfs.rootfs()
        except FetchError as error:
            why = str(error)
    if os.environ.get("CI"):
        pytest.fail(f"{why}, and CI must")
    pytest.skip(why)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive of `make package`, for the container's Python."""
    return rootfs.wheelhouse(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def container(debian: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """Debian with Python and systemd, no network, and nothing installed."""
    binds = {"/package": package, "/srv/tests": rootfs.ROOT / "tests"}
    with Container(debian, tmp_path_factory.mktemp("container") / "boot.log", binds=binds) as booted:
        yield booted


@pytest.fixture(scope="module")
def service(container: Container) -> Service:
    """Installed, configured and started while no source answers; then the source and the receiver appear."""
    service = Service(container)
    service.install()
    container.ok("useradd", "--create-home", "--groups", "treasury-watcher", "alice")
    container.ok("useradd", "--create-home", "bob")
    service.configure()
    service.start()
    service.start_actors()
    service.caught_up()
    return service
