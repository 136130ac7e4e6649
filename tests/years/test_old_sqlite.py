"""Where no newer SQLite came along, the standard library's decides how the ledger is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.bench.large import large
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import create_or_open
from watcher.ledger.sqlite import WAL_IS_SAFE

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from pathlib import Path
sys.modules["pysqlite3"] = None  # as where there is no wheel of it
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import create_or_open
from watcher.ledger.sqlite import VERSION, WAL_IS_SAFE
ledger = create_or_open(Path(sys.argv[1]), Network.REGTEST, 0)
pragma = lambda name: ledger.execute(f"PRAGMA {name}").fetchone()[0]
print(json.dumps({
    "version": VERSION, "safe": WAL_IS_SAFE, "journal": pragma("journal_mode"), "sync": pragma("synchronous"),
    "events": ledger.execute("SELECT count(*) FROM events").fetchone()[0],
}))
"""
FULL, EXTRA = 2, 3


def opened(state: Path) -> Any:
    """How a program without pysqlite3 finds the ledger, having opened it to write."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, state],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_sqlite_that_can_lose_commits_in_wal_mode_is_not_let_use_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    large(state, scripts=5, payments=10)
    found = opened(state)
    version = tuple(int(part) for part in found["version"].split("."))
    assert found["safe"] == (version >= (3, 51, 3))
    assert (found["journal"], found["sync"]) == (("wal", FULL) if found["safe"] else ("delete", EXTRA))
    with closing(create_or_open(state, Network.REGTEST, 0)) as ledger:  # and back again
        assert ledger.execute("SELECT count(*) FROM events").fetchone()[0] == found["events"] > 10
        mode = ledger.execute("PRAGMA journal_mode").fetchone()[0]
        assert mode == ("wal" if WAL_IS_SAFE else "delete")
