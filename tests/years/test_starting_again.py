"""A start after years does not walk through them: counted in bytes, rows and steps, not in seconds."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench.large import TREASURY, large
from tests.daemon.places import ALPHA, Place, fresh
from watcher.bitcoin.networks import Network
from watcher.core.known import Terms
from watcher.ledger.figures import figures
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in
from watcher.ledger.queries import log_id, outbox_counts
from watcher.ledger.seal import is_sealed, seal
from watcher.ledger.watches import Listed, TreasuryList, sync

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tests.toy.electrum import ToyElectrum

SCRIPTS = 400
PAGE = 4096


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a ledger with a past, closed and sealed."""
    state = tmp_path_factory.mktemp("long") / "state"
    large(state, scripts=SCRIPTS, payments=2 * SCRIPTS)
    seal(path_in(state))
    return state


def read_by(opens: Callable[[], sqlite3.Connection]) -> int:
    """How many bytes are read to open it, from the disk or not."""

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])

    before = read()
    opens().close()
    return read() - before


def steps(connection: sqlite3.Connection, ask: Callable[[sqlite3.Connection], object]) -> int:
    """How many of SQLite's instructions an answer takes."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 1)
    ask(connection)
    connection.set_progress_handler(None, 0)
    return counted


def until_the_next_instant(folder: Path, instant_ns: int) -> None:
    """Until a change is of a later instant: some kernels stamp files by a clock of a few milliseconds."""
    probe = folder / "probe"
    probe.touch()
    while probe.stat().st_ctime_ns <= instant_ns:
        time.sleep(0.001)
        probe.touch()


def test_a_ledger_that_was_closed_well_is_not_read_whole(long: Path, tmp_path: Path) -> None:
    size = path_in(long).stat().st_size
    assert read_by(lambda: open_existing(long, Network.REGTEST)) < size / 4
    assert read_by(lambda: open_existing(long, Network.REGTEST, whole=True)) > size
    copied = shutil.copytree(long, tmp_path / "state")  # another file: nobody has sealed this one
    assert read_by(lambda: open_existing(copied, Network.REGTEST)) > size


def test_the_seal_goes_before_the_first_write_and_comes_with_a_good_end(long: Path, tmp_path: Path) -> None:
    state = shutil.copytree(long, tmp_path / "state")
    seal(path_in(state))
    assert is_sealed(path_in(state))
    with closing(create_or_open(state, Network.REGTEST, 0)) as connection:
        assert not is_sealed(path_in(state))
        connection.execute("UPDATE treasuries SET title = 'Another'")
        seal(path_in(state))  # some of it is in the -wal: this is no end
        assert not is_sealed(path_in(state))
    assert not is_sealed(path_in(state))


def test_what_was_damaged_after_a_good_end_is_refused(long: Path, tmp_path: Path) -> None:
    state = shutil.copytree(long, tmp_path / "state")
    path = path_in(state)
    seal(path)
    kept = path.stat()
    until_the_next_instant(tmp_path, kept.st_ctime_ns)
    with path.open("r+b") as file:
        file.seek(10 * PAGE)
        file.write(os.urandom(60 * PAGE))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # its date alone is no proof
    assert not is_sealed(path)
    with pytest.raises(LedgerUnusableError, match="corrupt"):
        create_or_open(state, Network.REGTEST, 0)


def test_a_list_that_is_the_recorded_one_is_not_compared_again(long: Path, tmp_path: Path) -> None:
    state = shutil.copytree(long, tmp_path / "state")
    with closing(create_or_open(state, Network.REGTEST, 0)) as connection:
        rows = connection.execute(
            "SELECT scripthash, script_pubkey, address FROM scripts JOIN watches ON script = scripts.id"
        ).fetchall()
        listed = [Listed(row[0], row[1], row[2], None, None, None, None) for row in rows]
        lists = [TreasuryList(TREASURY, TREASURY, "own", listed)]
        terms = Terms(Network.REGTEST, log_id(connection), 6, 60_000)
        before = connection.total_changes
        assert sync(connection, terms, lists, 0) == ()
        assert connection.total_changes == before
        named = [TreasuryList(TREASURY, "Another title", "own", listed)]
        assert sync(connection, terms, named, 0) == ()
        assert connection.execute("SELECT title FROM treasuries").fetchone()[0] == "Another title"


def test_what_was_delivered_long_ago_costs_a_scrape_nothing(long: Path, tmp_path: Path) -> None:
    state = shutil.copytree(long, tmp_path / "state")
    with closing(create_or_open(state, Network.REGTEST, 0)) as connection:
        (row,) = outbox_counts(connection)
        assert (row.endpoint, row.pending, row.dead) == ("ops", 0, 0)
        assert steps(connection, outbox_counts) < SCRIPTS  # of twice as many deliveries
        first = figures(connection, None)
        assert sum(first.events.values()) > 2 * SCRIPTS
        connection.execute("UPDATE deliveries SET state = 'dead' WHERE id <= 3")
        connection.execute("UPDATE deliveries SET state = 'pending' WHERE id = 4")
        (row,) = outbox_counts(connection)
        assert (row.pending, row.dead, row.oldest_due_ms is not None) == (1, 3, True)


@pytest.mark.slow
async def test_a_daemon_seals_at_a_good_end_and_a_killed_one_does_not(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    path = path_in(tmp_path / "state")
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        assert await daemon.terminate() == 0
        assert is_sealed(path)
        await daemon.start()
        assert not is_sealed(path)
        toy.chain.pay(ALPHA, 10_000)
        daemon.kill()
        assert not is_sealed(path)
        await daemon.start()
        assert await daemon.terminate() == 0
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(bytes(8 * PAGE))
    done = await daemon.command("run")
    assert done.code == 3
    assert "corrupt" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("table", ["scripts", "deliveries"])
async def test_damage_that_is_met_later_is_told_with_what_to_do(
    toy: ToyElectrum, tmp_path: Path, table: str
) -> None:
    """A disk that gives back something else changes no date: the seal holds, and not all is read."""
    path = path_in(tmp_path / "state")
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        assert await daemon.terminate() == 0
    with closing(open_existing(path.parent, Network.REGTEST)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    with path.open("r+b") as file:
        file.seek(PAGE * (root - 1))
        file.write(bytes(PAGE))
    seal(path)
    for _ in range(2):  # the second time it is read whole
        done = await daemon.command("run")
        assert done.code == 3
        assert "corrupt" in done.err
        assert "`restore` the newest backup" in done.err
        assert "Traceback" not in done.err
