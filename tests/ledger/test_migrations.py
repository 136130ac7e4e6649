"""A migration that is cut short is done again; the copy made before it is whole."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlite_utils import Database

from tests.ledger.disk import Disk
from tests.ledger.lives import CUT, Start
from tests.ledger.story import Story, open_eye
from watcher.bitcoin.networks import Network
from watcher.core.known import Terms
from watcher.ledger import queries, schema
from watcher.ledger.earlier import book
from watcher.ledger.evidence import NoEvidenceError, evidence
from watcher.ledger.figures import figures
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in
from watcher.ledger.queries import log_id
from watcher.ledger.sqlite import driver, open_still
from watcher.ledger.verify import verify
from watcher.ledger.version import VERSION
from watcher.ledger.watches import Listed, TreasuryList, sync

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger.conftest import Nursery

STEPS = 30
NEXT = VERSION + 1


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with a ledger of this version that a story was told."""
    state = tmp_path_factory.mktemp("old")
    story = Story(7)
    eye = open_eye(state, story)
    for _ in range(STEPS):
        story.advance()(eye)
    eye.close()
    return state


def content(path: Path) -> tuple[int, list[tuple[object, ...]]]:
    """The version and the log of a database that is closed."""
    with contextlib.closing(open_still(path)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        rows = ledger.execute("SELECT sequence, id, body FROM events ORDER BY sequence").fetchall()
        return ledger.execute("PRAGMA user_version").fetchone()[0], [tuple(row) for row in rows]


def copies(state: Path) -> list[Path]:
    return list(state.glob("ledger.sqlite.v*[0-9]"))


def operations(newer: Nursery, old: Path, folder: Path) -> int:
    """How much there is to cut in a migration."""
    disk = Disk(shutil.copytree(old, folder / "whole"))
    assert newer.live(Start(str(folder / "whole"), str(folder / "journal"))) == 0
    return disk.play((folder / "journal").read_bytes())


@pytest.mark.parametrize("cut", ["the process killed", "the power cut"])
def test_a_migration_cut_short_is_completed_at_the_next_start(
    newer: Nursery, old: Path, tmp_path: Path, cut: str
) -> None:
    rng = Random(cut)
    version, log = content(path_in(old))
    assert version == VERSION
    journal = tmp_path / "journal"
    whole = operations(newer, old, tmp_path)
    for at in sorted(rng.sample(range(1, whole), 25)):
        state = shutil.copytree(old, tmp_path / f"state {at}")
        disk = Disk(state)
        assert newer.live(Start(str(state), str(journal), at)) == CUT
        if cut == "the power cut":
            disk.play(journal.read_bytes())
            state = tmp_path / f"cut {at}"
            disk.cut(state, rng)
        assert all(content(copy) == (VERSION, log) for copy in copies(state))
        assert newer.live(Start(str(state))) == 0
        assert content(path_in(state)) == (NEXT, log)
        assert [content(copy) for copy in copies(state)] == [(VERSION, log)]


def test_a_ledger_of_a_newer_version_is_refused_and_its_copy_is_named(
    newer: Nursery, old: Path, tmp_path: Path
) -> None:
    state = shutil.copytree(old, tmp_path / "state")
    assert newer.live(Start(str(state))) == 0
    before = path_in(state).read_bytes()
    with pytest.raises(LedgerUnusableError, match="newer version"):
        create_or_open(state, Network.REGTEST, 0)
    assert path_in(state).read_bytes() == before


def of_the_first_version(path: Path) -> None:
    """Make the ledger what a program of version 1 would have left."""
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        for trigger in ("entry_new", "entry_gone", "entry", "transaction"):
            ledger.execute(f"DROP TRIGGER sums_{trigger}")
        ledger.execute("DROP TABLE sums")
        ledger.execute("DROP INDEX transactions_unproven")
        ledger.execute("ALTER TABLE watches DROP COLUMN read")
        ledger.execute("ALTER TABLE watches DROP COLUMN licence")
        ledger.execute("DELETE FROM _sqlite_migrations WHERE name <> 'm001_first'")
        ledger.execute("PRAGMA user_version = 1")
        ledger.commit()


def test_a_ledger_of_the_first_version_learns_the_provenance_from_the_config(
    old: Path, tmp_path: Path
) -> None:
    state = shutil.copytree(old, tmp_path / "state")
    of_the_first_version(path_in(state))
    _, log = content(path_in(state))
    with (
        contextlib.closing(open_existing(state, Network.REGTEST)) as ledger,
        pytest.raises(NoEvidenceError, match="older version"),
    ):
        evidence(ledger, "alpha", None)
    with contextlib.closing(create_or_open(state, Network.REGTEST, 0)) as ledger:
        rows = ledger.execute(
            """SELECT w.treasury, s.scripthash, s.script_pubkey FROM watches w
               JOIN scripts s ON s.id = w.script WHERE w.removed_ms IS NULL"""
        ).fetchall()
        lists: dict[str, list[Listed]] = {}
        for name, script, raw in rows:
            told = Listed(script, raw, *[None] * 5, read="2026-11-24", licence="CC0")
            lists.setdefault(name, []).append(told)
        terms = Terms(Network.REGTEST, log_id(ledger), 6, 1)
        assert sync(ledger, terms, [TreasuryList(n, n, "own", each) for n, each in lists.items()], 0) == ()
        told = {
            tuple(row) for row in ledger.execute("SELECT read, licence FROM watches WHERE removed_ms IS NULL")
        }
        ledger.commit()
    assert told == {("2026-11-24", "CC0")}
    assert content(path_in(state)) == (VERSION, log)
    assert [content(copy) for copy in copies(state)] == [(1, log)]


def test_what_a_book_adds_up_to_is_the_same_before_and_after_a_migration(old: Path, tmp_path: Path) -> None:
    def told(ledger: sqlite3.Connection) -> list[object]:
        tip = queries.tip(ledger)
        assert tip is not None
        books = {row.name: book(ledger, row.name, tip.time) for row in queries.treasuries(ledger)}
        return [books, figures(ledger, None).flows]

    with contextlib.closing(open_existing(old, Network.REGTEST)) as ledger:
        now = told(ledger)
        assert len(ledger.execute("SELECT * FROM sums").fetchall()) > 1
    state = shutil.copytree(old, tmp_path / "state")
    of_the_first_version(path_in(state))
    with contextlib.closing(open_existing(state, Network.REGTEST)) as ledger:
        assert told(ledger) == now
        with pytest.raises(driver.OperationalError, match="view"):
            ledger.execute("DELETE FROM sums")
    with contextlib.closing(create_or_open(state, Network.REGTEST, 0)) as ledger:
        assert told(ledger) == now
        ledger.commit()
    with contextlib.closing(open_existing(state, Network.REGTEST)) as ledger:
        assert verify(ledger).failures == []


def test_the_version_counts_the_migrations() -> None:
    names = [m.name for m in schema.migrations.pending(Database(memory=True))]
    assert [int(name[1:4]) for name in names] == list(range(1, VERSION + 1))


def test_a_ledger_of_this_version_is_opened_without_the_migrations(old: Path) -> None:
    """They and their library would take 5 MB of each process that has nothing to apply."""
    program = """
import sys
from pathlib import Path
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import create_or_open
create_or_open(Path(sys.argv[1]), Network.REGTEST, 0).close()
print("sqlite_utils" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program, old], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
