"""A backup is a moment of the log; restored, it is a new log in which the story goes on as it would have."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.copying import Copy
from tests.ledger.disk import Disk
from tests.ledger.fates import losses
from tests.ledger.lives import CUT
from tests.ledger.story import Life, Story, acknowledged, open_eye, told_undisturbed
from watcher.bitcoin.networks import Network
from watcher.core.identity import log_event_id
from watcher.ledger.backup import (
    Manifest,
    OccupiedError,
    backup,
    last_backup,
    note_backup,
    read_manifest,
    restore,
)
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in
from watcher.ledger.queries import log_id
from watcher.ledger.verify import verify
from watcher.ledger.version import VERSION

if TYPE_CHECKING:
    import sqlite3

    from tests.ledger.conftest import Nursery

SEED, STEPS, HALF = 21, 40, 20


def copy(state: Path, to: Path) -> Manifest:
    with contextlib.closing(open_existing(state, Network.REGTEST)) as ledger:
        return backup(ledger, to, now_ms=1_795_521_600_000, program="0.1.0")


def events(state: Path) -> list[dict[str, Any]]:
    """The log of a ledger that verifies."""
    with contextlib.closing(open_existing(state, Network.REGTEST)) as ledger:
        assert verify(ledger).failures == []
        return [
            {**dict(row), "data": json.loads(row["body"])}
            for row in ledger.execute("SELECT * FROM events ORDER BY sequence")
        ]


def go_on(state: Path, story: Story, steps: int) -> str:
    """Tell the ledger in `state` the next steps; returns its log."""
    eye = open_eye(state, story)
    while story.step < steps:
        story.advance()(eye)
    eye.close()
    return eye.log


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a ledger that was told half the story."""
    folder = tmp_path_factory.mktemp("backed up")
    (folder / "state").mkdir()
    go_on(folder / "state", Story(SEED), HALF)
    copy(folder / "state", folder / "backup")
    return folder / "backup"


def halfway() -> Story:
    story = Story(SEED)
    for _ in range(HALF):
        story.advance()
    return story


def test_a_backup_made_during_a_commit_holds_the_moment_before_it(tmp_path: Path) -> None:
    state, story = tmp_path, Story(SEED)
    eye = open_eye(state, story)
    for _ in range(HALF):
        story.advance()(eye)
    assert eye.writer is not None
    made: list[Manifest] = []

    def unit(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE meta SET value = 'spoilt' WHERE key = 'created_ms'")
        with ThreadPoolExecutor(1) as another_thread:
            made.append(another_thread.submit(copy, state, tmp_path / "backup").result(60))

    eye.loop.run_until_complete(eye.writer.run(unit))
    assert made[0].sequence == len(eye.events)
    restore(tmp_path / "backup", tmp_path / "restored")
    with contextlib.closing(open_existing(tmp_path / "restored", Network.REGTEST)) as ledger:
        assert ledger.execute("SELECT value FROM meta WHERE key = 'created_ms'").fetchone()[0] != "spoilt"
    eye.close()


def test_backups_made_while_the_daemon_writes_hold_what_was_told_before_them(
    nursery: Nursery, tmp_path: Path
) -> None:
    state, acks = tmp_path / "state", tmp_path / "acks"
    state.mkdir()
    acks.write_bytes(b"")
    create_or_open(state, Network.REGTEST, 0).close()
    made, first, in_the_midst = [], 0, 0
    while in_the_midst < 3:  # a life may be over before a copy is made, where others want the machine
        last = first + 80
        nursery.begin(Life(str(state), str(acks), SEED, first, last))
        while (before := acknowledged(acks, 0)).next_step < last:
            to = tmp_path / f"backup {len(made)}"
            made.append((before.ids, copy(state, to), to))
            in_the_midst += first < before.next_step and acknowledged(acks, 0).next_step < last
        assert nursery.end() == 0
        first = last
    whole = [(e["sequence"], e["id"]) for e in events(state)]
    for known, manifest, to in made:
        assert manifest.sequence >= max(known, default=0)
        restored = tmp_path / "restored" / to.name
        restore(to, restored)
        assert [(e["sequence"], e["id"]) for e in events(restored)] == whole[: manifest.sequence]


def test_after_a_restore_the_same_story_has_the_same_ids_in_a_new_log(
    backed_up: Path, tmp_path: Path
) -> None:
    restored = restore(backed_up, tmp_path / "state")
    old = restored.manifest.log
    assert go_on(tmp_path / "state", halfway(), STEPS) == restored.log != old
    told = events(tmp_path / "state")
    undisturbed = told_undisturbed(SEED, STEPS, old)
    assert len(told) > restored.manifest.sequence > 0
    assert [(e["type"], e["txid"], e["incident"]) for e in told] == [
        (e.type, e.txid, e.incident) for e in undisturbed
    ]
    for event, twin in zip(told, undisturbed, strict=True):
        sequence, written_in = event["sequence"], event["data"]["log"]
        assert written_in == (old if sequence <= restored.manifest.sequence else restored.log)
        is_of_the_chain = event["txid"] is not None
        assert event["id"] == (twin.id if is_of_the_chain else log_event_id(written_in, sequence))


def test_a_restored_ledger_can_be_backed_up_and_restored_again(backed_up: Path, tmp_path: Path) -> None:
    first = restore(backed_up, tmp_path / "first")
    copy(tmp_path / "first", tmp_path / "again")
    second = restore(tmp_path / "again", tmp_path / "second")
    go_on(tmp_path / "second", halfway(), STEPS - 5)
    copy(tmp_path / "second", tmp_path / "once more")
    third = restore(tmp_path / "once more", tmp_path / "third")
    story = Story(SEED)
    for _ in range(STEPS - 5):
        story.advance()
    go_on(tmp_path / "third", story, STEPS)
    logs = [e["data"]["log"] for e in events(tmp_path / "third")]  # which verify
    assert list(dict.fromkeys(logs)) == [first.manifest.log, second.log, third.log]  # the first told nothing
    assert len({first.log, second.log, third.log}) == 3


def test_verify_sees_an_event_that_was_put_into_another_log(backed_up: Path, tmp_path: Path) -> None:
    restored = restore(backed_up, tmp_path / "state")
    connection = create_or_open(tmp_path / "state", Network.REGTEST, 0)
    connection.execute(
        "UPDATE events SET body = json_set(body, '$.log', ?) WHERE sequence = 1", (restored.log,)
    )
    assert any("event 1: it names another log" in failure for failure in verify(connection).failures)
    connection.close()


def test_the_manifest_says_what_the_backup_holds(backed_up: Path) -> None:
    manifest = json.loads((backed_up / "manifest.json").read_bytes())
    assert {path.name for path in backed_up.iterdir()} == {"ledger.sqlite", "manifest.json"}
    assert manifest["created"] == "2026-11-24T12:00:00.000Z"
    assert (manifest["network"], manifest["schema"], manifest["program"]) == ("regtest", VERSION, "0.1.0")
    assert manifest["bytes"] == path_in(backed_up).stat().st_size
    with contextlib.closing(open_existing(backed_up, Network.REGTEST)) as ledger:
        assert log_id(ledger) == manifest["log"]


def test_a_backup_overwrites_nothing(backed_up: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    restore(backed_up, state)
    for occupied in (backed_up, state, tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(OccupiedError, match=r"overwrites nothing|not a directory"):
            copy(state, occupied)
    assert read_manifest(backed_up).sequence > 0


def test_when_the_last_backup_was_made_is_known(backed_up: Path, tmp_path: Path) -> None:
    restore(backed_up, tmp_path)
    assert last_backup(tmp_path) is None
    before = time.time()
    note_backup(tmp_path)
    last = last_backup(tmp_path)
    assert last is not None
    assert before - 1 < last < time.time() + 1


def test_a_directory_that_is_there_and_empty_will_do(backed_up: Path, tmp_path: Path) -> None:
    restore(backed_up, tmp_path)
    (tmp_path / "backups" / "monday").mkdir(parents=True)
    copy(tmp_path, tmp_path / "backups" / "monday")
    copy(tmp_path, tmp_path / "backups" / "deep" / "tuesday")


def test_nothing_is_restored_over_a_ledger_or_among_other_files(backed_up: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    restore(backed_up, state)
    before = path_in(state).read_bytes()
    with pytest.raises(OccupiedError, match=r"holds a ledger: move ledger\.sqlite away first"):
        restore(backed_up, state)
    assert path_in(state).read_bytes() == before
    path_in(state).unlink()
    (state / "ledger.sqlite-wal").write_bytes(b"of another ledger")
    with pytest.raises(OccupiedError, match=r"move ledger\.sqlite-wal away first"):
        restore(backed_up, state)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters").touch()
    with pytest.raises(OccupiedError, match=r"not empty \(letters\)"):
        restore(backed_up, tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letters"]


def test_a_ledger_that_was_moved_away_can_be_replaced(backed_up: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    go_on(state, Story(SEED), STEPS)
    (state / "lock").touch()
    (state / "endpoints").touch()
    path_in(state).rename(tmp_path / "kept")
    restored = restore(backed_up, state)  # the old log's mark is no obstacle
    assert go_on(state, halfway(), STEPS) == restored.log


def lengthened(backup_: Path) -> None:
    with path_in(backup_).open("ab") as file:
        file.write(bytes(4096))


def changed(backup_: Path) -> None:
    content = bytearray(path_in(backup_).read_bytes())
    content[len(content) // 2] ^= 1
    path_in(backup_).write_bytes(content)


def claims_another_end(backup_: Path) -> None:
    manifest = json.loads((backup_ / "manifest.json").read_bytes())
    (backup_ / "manifest.json").write_text(json.dumps({**manifest, "sequence": manifest["sequence"] + 1}))


def without_a_manifest(backup_: Path) -> None:
    (backup_ / "manifest.json").unlink()


def without_a_ledger(backup_: Path) -> None:
    path_in(backup_).unlink()


def manifest_of_nonsense(backup_: Path) -> None:
    (backup_ / "manifest.json").write_text('{"sequence": "many"}')


def manifest_without_end(backup_: Path) -> None:
    (backup_ / "manifest.json").write_text(" " * 1_000_000)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lengthened, "bytes long"),
        (changed, "its SHA-256 is another one"),
        (claims_another_end, "last event"),
        (without_a_manifest, "no backup at"),
        (without_a_ledger, "no ledger at"),
        (manifest_of_nonsense, "is no manifest"),
        (manifest_without_end, "longer than a manifest"),
    ],
)
def test_a_backup_that_is_not_whole_is_not_restored(
    backed_up: Path, tmp_path: Path, spoil: Any, why: str
) -> None:
    spoilt = shutil.copytree(backed_up, tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(LedgerUnusableError, match=why):
        restore(spoilt, tmp_path / "state")
    assert not (tmp_path / "state").exists() or list((tmp_path / "state").iterdir()) == []


def test_a_corrupt_ledger_is_not_backed_up(backed_up: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    restore(backed_up, state)
    content = bytearray(path_in(state).read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path_in(state).write_bytes(content)
    with pytest.raises(LedgerUnusableError, match="corrupt"):
        copy(state, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def operations(copying: Nursery, wanted: Copy) -> int:
    """How many there are to cut."""
    to = Path(wanted.to)
    to.mkdir()
    disk = Disk(to)
    assert copying.live(wanted) == 0
    return disk.play(Path(wanted.journal).read_bytes())


@pytest.mark.parametrize("restoring", [False, True], ids=["backup", "restore"])
def test_a_copy_cut_short_by_a_power_cut_is_none_or_whole(
    copying: Nursery, backed_up: Path, tmp_path: Path, *, restoring: bool
) -> None:
    state, journal, rng = tmp_path / "state", str(tmp_path / "journal"), Random(5)
    restore(backed_up, state)
    source = str(backed_up if restoring else state)
    whole = operations(copying, Copy(source, str(tmp_path / "whole"), journal, restoring=restoring))
    # the last operations give the names; 0: the power goes when all is done
    for at in [0, *rng.sample(range(1, whole - 11), 20), *range(whole - 11, whole + 1)]:
        to = tmp_path / f"to {at}"
        to.mkdir()
        disk = Disk(to)
        assert copying.live(Copy(source, str(to), journal, at, restoring)) == (CUT if at else 0)
        disk.play(Path(journal).read_bytes())
        for draw in range(5):
            left = tmp_path / f"left {at} {draw}"
            disk.cut(left, rng)
            if restoring:
                assert losses(left, tmp_path / "looked at", {}) == []
            elif (left / "manifest.json").exists():
                restore(left, tmp_path / f"restored {at} {draw}")
            if not at:
                assert {path.name for path in left.iterdir()} == {path.name for path in to.iterdir()}
