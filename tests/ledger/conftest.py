"""A disk that forgets, and processes that live on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.disk import build

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Nursery:
    """Lives, one after another, each in a process of its own."""

    def __init__(self, program: str, preload: Path | None = None) -> None:
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        if preload is not None:
            environ["LD_PRELOAD"] = str(preload)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.ledger.{program}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            cwd=ROOT,
            text=True,
        )

    def live(self, life: Any) -> int:
        """Live it to its end; returns its exit status, negative for a signal."""
        self.begin(life)
        return self.end()

    def begin(self, life: Any) -> None:
        """Have it begin; `end` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(asdict(life))}\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait for the end of the one that was begun."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """No more lives."""
        self._process.communicate()


@pytest.fixture(scope="session")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk that forgets, as a library to preload."""
    return build(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def forgetful(preload: Path) -> Iterator[Nursery]:
    """Stories on a disk that forgets."""
    nursery = Nursery("story", preload)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Stories on the disk as it is."""
    nursery = Nursery("story")
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def newer(preload: Path) -> Iterator[Nursery]:
    """A later version of the program, on a disk that forgets."""
    nursery = Nursery("newer", preload)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def unwilling(preload: Path) -> Iterator[Nursery]:
    """Stories on a disk that begins to refuse."""
    nursery = Nursery("unwilling", preload)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def copying(preload: Path) -> Iterator[Nursery]:
    """Backups and restores on a disk that forgets."""
    nursery = Nursery("copying", preload)
    yield nursery
    nursery.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 16 MB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(mounted)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs to be allowed")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)
