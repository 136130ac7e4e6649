"""A disk that is full, read-only or broken: the writer says so, keeps trying, and skips nothing.

What was not synced was not committed: nobody reads it, and a power cut then loses nothing acknowledged.
"""

from __future__ import annotations

import asyncio
import errno
import json
import subprocess
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.ledger.disk import PAGE, Disk, Kind, fill
from tests.ledger.fates import check_told, losses
from tests.ledger.lives import CUT
from tests.ledger.story import Story, open_eye
from tests.ledger.unwilling import Refusal
from tests.stack.processes import until
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in
from watcher.ledger.queries import last_sequence
from watcher.ledger.seal import is_sealed, seal
from watcher.ledger.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from tests.ledger.conftest import Nursery

STEPS = 25
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


async def is_refused(writer: Writer) -> None:
    async def refused() -> bool:
        return not writer.writable

    await until(refused, within=60, what="a refused unit")


async def test_what_writes_nothing_does_not_hide_that_the_disk_is_full(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So do most looks of the outbox for what is due."""
    writer = Writer(create_or_open(small_disk, Network.REGTEST, 0))
    fill(small_disk / "ballast")
    words = [f"a remark of a page: {number} {'x' * PAGE}" for number in range(100)]

    def remark(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO meta (key, value) VALUES (?, '')", [(word,) for word in words])

    waiting = asyncio.create_task(writer.run(remark))
    await is_refused(writer)
    for _ in range(3):
        await writer.run(last_sequence)
        assert not writer.writable
    (small_disk / "ballast").unlink()
    await waiting
    assert writer.writable
    await writer.close()
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert said == ["the ledger cannot be written", "the ledger can be written again"]


async def test_who_does_not_wait_for_the_disk_any_more_is_not_counted(small_disk: Path) -> None:
    writer = Writer(create_or_open(small_disk, Network.REGTEST, 0))
    fill(small_disk / "ballast")
    waiting = asyncio.create_task(
        writer.run(lambda c: c.execute("INSERT INTO meta VALUES (?, '')", ("x" * 100 * PAGE,)))
    )
    await is_refused(writer)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert writer.writable
    await writer.close()


def test_a_ledger_on_a_read_only_file_system_is_refused_for_writing_and_can_be_read(small_disk: Path) -> None:
    create_or_open(small_disk, Network.REGTEST, 0).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    before = {path.name: path.read_bytes() for path in small_disk.iterdir()}
    with pytest.raises(LedgerUnusableError, match=r"cannot be used: .*; see to its permissions, its mount"):
        create_or_open(small_disk, Network.REGTEST, 0)
    open_existing(small_disk, Network.REGTEST).close()
    assert {path.name: path.read_bytes() for path in small_disk.iterdir()} == before


def test_a_good_end_on_a_full_disk_is_a_good_end_without_a_seal(small_disk: Path) -> None:
    create_or_open(small_disk, Network.REGTEST, 0).close()
    fill(small_disk / "ballast")
    seal(path_in(small_disk))
    assert not is_sealed(path_in(small_disk))


def test_no_ledger_is_begun_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with pytest.raises(LedgerUnusableError, match="free space"):
        create_or_open(small_disk, Network.REGTEST, 0)
    assert not path_in(small_disk).exists()
    (small_disk / "ballast").unlink()
    create_or_open(small_disk, Network.REGTEST, 0).close()
