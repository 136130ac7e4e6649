"""A disk that is full, read-only or broken: the writer says so, keeps trying, and skips nothing.

What was not synced was not committed: nobody reads it, and a power cut then loses nothing acknowledged.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import subprocess
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.ledger.disk import Disk, Kind
from tests.ledger.fates import check_told, losses
from tests.ledger.lives import CUT
from tests.ledger.story import Story, open_eye
from tests.ledger.unwilling import Refusal
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ledger.conftest import Nursery

STEPS = 25
PAGE = 4096
WRITES, SYNCS = [Kind.WRITE], [Kind.SYNC]
REFUSALS = [
    pytest.param(WRITES, errno.ENOSPC, 0, id="full at the first write of a commit"),
    pytest.param(WRITES, errno.ENOSPC, 7, id="full in the middle of a commit"),
    pytest.param(WRITES, errno.EIO, 3, id="an error on writing"),
    pytest.param(WRITES, errno.EROFS, 0, id="read-only since an error"),
    pytest.param(SYNCS, errno.EIO, 0, id="an error on syncing"),
    pytest.param([Kind.WRITE, Kind.SYNC, Kind.TRUNCATE], errno.EIO, 0, id="a disk that is gone"),
]


@pytest.mark.parametrize("cut", [False, True], ids=["it recovers", "the power is cut meanwhile"])
@pytest.mark.parametrize(("kinds", "error", "passing"), REFUSALS)
def test_nothing_is_skipped_or_lost_when_the_disk_refuses(
    unwilling: Nursery, tmp_path: Path, kinds: list[Kind], error: int, passing: int, *, cut: bool
) -> None:
    state, journal, seen = tmp_path / "state", tmp_path / "journal", tmp_path / "seen"
    state.mkdir()
    # few pages before a checkpoint: it is refused too
    life = Refusal(
        *(str(state), str(journal), str(seen), 11, STEPS, kinds, error, passing, cut),
        pragmas=["wal_autocheckpoint=15"],
    )
    disk = Disk(state)
    assert unwilling.live(life) == (CUT if cut else 0)
    when_refused = json.loads(seen.read_text())
    known = {int(sequence): event for sequence, event in when_refused["acknowledged"].items()}
    assert when_refused["readable"] == max(known)
    if not cut:
        check_told(state, 11, STEPS)
        return
    disk.play(journal.read_bytes())
    for draw in range(20):
        left = tmp_path / f"left {draw}"
        disk.cut(left, Random(draw))
        assert losses(left, tmp_path / "looked at", known) == []


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


def test_a_full_file_system_is_waited_for(small_disk: Path) -> None:
    story = Story(12)
    eye = open_eye(small_disk, story)
    ballast = small_disk / "ballast"
    refused: list[int] = []

    async def make_room() -> None:
        await eye.refused()
        refused.append(len(eye.events))
        ballast.unlink()

    noticing = eye.loop.create_task(make_room())
    for step in range(STEPS):
        if step == 5:
            fill(ballast)
        story.advance()(eye)
    assert noticing.done()
    eye.close()
    check_told(small_disk, 12, STEPS)
    assert 0 < refused[0] < len(eye.events)


def fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE))


def test_a_ledger_on_a_read_only_file_system_is_refused_for_writing_and_can_be_read(small_disk: Path) -> None:
    create_or_open(small_disk, Network.REGTEST, 0).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    before = {path.name: path.read_bytes() for path in small_disk.iterdir()}
    with pytest.raises(LedgerUnusableError, match=r"cannot be used: .*; see to its permissions, its mount"):
        create_or_open(small_disk, Network.REGTEST, 0)
    open_existing(small_disk, Network.REGTEST).close()
    assert {path.name: path.read_bytes() for path in small_disk.iterdir()} == before


def test_no_ledger_is_begun_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with pytest.raises(LedgerUnusableError, match="free space"):
        create_or_open(small_disk, Network.REGTEST, 0)
    assert not path_in(small_disk).exists()
    (small_disk / "ballast").unlink()
    create_or_open(small_disk, Network.REGTEST, 0).close()
