"""What became of a ledger, judged from outside."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from tests.ledger.story import told_undisturbed
from watcher.bitcoin.networks import Network
from watcher.ledger.opening import LedgerUnusableError, create_or_open, open_existing, path_in
from watcher.ledger.queries import log_id
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


def losses(state: Path, copy: Path, known: dict[int, str]) -> list[str]:
    """What is wrong, or missing of the events `known` by sequence; it is a copy that is opened."""
    if not path_in(state).exists() and not known:
        return []
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state, copy)
    try:
        connection = create_or_open(copy, Network.REGTEST, 0)
    except LedgerUnusableError as refused:
        return [str(refused)]
    with contextlib.closing(connection):
        found = dict(connection.execute("SELECT sequence, id FROM events").fetchall())
        lost = [f"event {sequence}" for sequence, event in known.items() if found.get(sequence) != event]
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return lost + ([] if verdict == "ok" else [verdict]) + verify(connection).failures


def check_told(state: Path, seed: int, steps: int) -> None:
    """The log is that of a ledger which was never disturbed, event for event and id for id."""
    with contextlib.closing(open_existing(state, Network.REGTEST)) as ledger:
        told = [tuple(row) for row in ledger.execute("SELECT type, txid, id FROM events ORDER BY sequence")]
        undisturbed = told_undisturbed(seed, steps, log_id(ledger))
        assert verify(ledger).failures == []
    assert told == [(e.type, e.txid, e.id) for e in undisturbed]
