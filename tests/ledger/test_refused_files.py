"""What cannot be used is refused with what to do about it, and is left as it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.ledger.story import Story, open_eye
from watcher.bitcoin.networks import Network
from watcher.ledger.mark import SUFFIX
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = 4096
STEPS = 25


def tell(state: Path) -> None:
    story = Story(3)
    eye = open_eye(state, story)
    for _ in range(STEPS):
        story.advance()(eye)
    eye.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose daemon has ended well: one file."""
    state = tmp_path_factory.mktemp("closed")
    tell(state)
    return state


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory as a killed daemon leaves it: the log's end is in the -wal."""
    state = tmp_path_factory.mktemp("running")
    story = Story(3)
    eye = open_eye(state, story)
    for _ in range(STEPS):
        story.advance()(eye)
    left = shutil.copytree(state, tmp_path_factory.mktemp("killed") / "state")
    eye.close()
    return left


def files(state: Path) -> dict[str, bytes | None]:
    """What lies there; what SQLite keeps in shared memory is no content."""
    return {
        path.name: path.read_bytes() if path.is_file() else None
        for path in state.iterdir()
        if not path.name.endswith("-shm")
    }


def refusal(state: Path) -> str:
    """Why the ledger is refused; nothing has changed by it."""
    before = files(state)
    with pytest.raises(LedgerUnusableError) as refused:
        create_or_open(state, Network.REGTEST, 0)
    assert files(state) == before
    return str(refused.value)


def spoil(path: Path, change: Callable[[bytearray], None]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def overwrite_pages(content: bytearray) -> None:
    for page in range(2, len(content) // PAGE):
        content[page * PAGE : page * PAGE + 64] = os.urandom(64)


def cut_in_half(content: bytearray) -> None:
    del content[len(content) // 2 // PAGE * PAGE :]


def cut_within_a_page(content: bytearray) -> None:
    del content[len(content) - 1000 :]


def lose_the_header(content: bytearray) -> None:
    content[:100] = bytes(100)


# the last page and the header of the killed one are in its -wal too, which mends them
@pytest.mark.parametrize(
    ("left", "change"),
    [
        ("closed", overwrite_pages),
        ("closed", cut_in_half),
        ("closed", cut_within_a_page),
        ("closed", lose_the_header),
        ("killed", overwrite_pages),
        ("killed", cut_in_half),
    ],
)
def test_a_damaged_ledger_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, left: str, change: Callable[[bytearray], None]
) -> None:
    state = shutil.copytree(request.getfixturevalue(left), tmp_path / "state")
    spoil(path_in(state), change)
    why = refusal(state)
    assert str(path_in(state)) in why
    assert "corrupt" in why
    assert "`restore` the newest backup" in why


@pytest.mark.parametrize("content", [b"not a database, and longer than a header of one is" * 100, b"short"])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    path_in(tmp_path).write_bytes(content)
    assert "`restore`" in refusal(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path_in(tmp_path).touch()
    why = refusal(tmp_path)
    assert "no ledger at" in why
    assert "empty" in why


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    path_in(tmp_path).mkdir()
    assert "not a file" in refusal(tmp_path)


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(path_in(tmp_path))
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    assert "something else" in refusal(tmp_path)


def test_the_ledger_of_another_network_is_refused(closed: Path) -> None:
    with pytest.raises(LedgerUnusableError, match="a ledger of regtest, and the config says"):
        create_or_open(closed, Network.MAINNET, 0)


def test_a_ledger_whose_wal_was_removed_is_refused(killed: Path, tmp_path: Path) -> None:
    state = shutil.copytree(killed, tmp_path / "state")
    (state / "ledger.sqlite-wal").unlink()
    why = refusal(state)
    assert "its -wal was removed" in why
    assert "Put the newest file back" in why


def test_a_ledger_that_lost_its_wal_is_accepted_again_with_it(killed: Path, tmp_path: Path) -> None:
    state = shutil.copytree(killed, tmp_path / "state")
    wal = state / "ledger.sqlite-wal"
    wal.rename(tmp_path / "aside")
    refusal(state)
    (tmp_path / "aside").rename(wal)
    create_or_open(state, Network.REGTEST, 0).close()


def test_an_older_copy_put_in_its_place_is_refused(closed: Path, tmp_path: Path) -> None:
    state = shutil.copytree(closed, tmp_path / "state")
    older = path_in(state).read_bytes()
    story = Story(3)
    for _ in range(STEPS):
        story.advance()
    eye = open_eye(state, story)
    while len(eye.events) < 3:
        story.advance()(eye)
    told = len(eye.events)
    eye.close()
    path_in(state).write_bytes(older)
    assert f"{told} more were told" in refusal(state)


def test_a_ledger_that_another_sqlite_program_closed_is_accepted(killed: Path, tmp_path: Path) -> None:
    state = shutil.copytree(killed, tmp_path / "state")
    shell = sqlite3.connect(path_in(state))
    assert shell.execute("SELECT count(*) FROM events").fetchone()[0] > 0
    shell.close()
    assert not (state / "ledger.sqlite-wal").exists()
    create_or_open(state, Network.REGTEST, 0).close()


def test_a_mark_that_says_nothing_is_no_reason_to_refuse(closed: Path, tmp_path: Path) -> None:
    state = shutil.copytree(closed, tmp_path / "state")
    for content in (b"", b"\0" * 64, b"another-log:999999\n", b"\xff\xfe:x"):
        (state / f"ledger.sqlite{SUFFIX}").write_bytes(content)
        create_or_open(state, Network.REGTEST, 0).close()


def test_no_ledger_is_made_beside_a_wal_without_its_ledger(killed: Path, tmp_path: Path) -> None:
    state = shutil.copytree(killed, tmp_path / "state")
    path_in(state).unlink()
    assert "without its ledger" in refusal(state)


def test_what_an_interrupted_creation_left_is_no_obstacle(closed: Path, tmp_path: Path) -> None:
    shutil.copy(path_in(closed), tmp_path / "ledger.sqlite.new")
    (tmp_path / "ledger.sqlite.new-wal").write_bytes(b"half a header")
    connection = create_or_open(tmp_path, Network.REGTEST, 0)
    assert connection.execute("SELECT count(*) FROM events").fetchone()[0] == 0
    connection.close()
    assert not list(tmp_path.glob("*.new*"))


@pytest.mark.parametrize("damage", ["absent", "empty", "garbage", "corrupt"])
def test_reading_commands_refuse_what_the_daemon_refuses(closed: Path, tmp_path: Path, damage: str) -> None:
    state = shutil.copytree(closed, tmp_path / "state")
    match damage:
        case "absent":
            path_in(state).unlink()
        case "empty":
            path_in(state).write_bytes(b"")
        case "garbage":
            path_in(state).write_bytes(b"garbage" * 1000)
        case _:
            spoil(path_in(state), overwrite_pages)
    before = files(state)
    with pytest.raises(LedgerUnusableError, match=str(path_in(state))):
        open_existing(state, Network.REGTEST)
    after = files(state)
    assert not after.pop("ledger.sqlite-wal", b"")  # any reader makes an empty one
    assert after == before
