"""The power is cut: nothing that was acknowledged is lost, and the story goes on as if nothing had been.

The control runs, which do not wait for the disk, must lose: they prove that the disk forgets.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.ledger.disk import Disk
from tests.ledger.fates import check_told, losses
from tests.ledger.lives import CUT
from tests.ledger.story import Life, acknowledged

if TYPE_CHECKING:
    from tests.ledger.conftest import Nursery

STEPS = 60  # about 3,000 operations on the disk
CUTS = 20  # a batch; `make test` runs one, `make fuzz` ten others
MANNERS = [
    [],
    ["wal_autocheckpoint=20"],  # else few checkpoints would be cut
    [
        "journal_mode=DELETE",
        "synchronous=EXTRA",
    ],  # with an SQLite whose WAL is not safe (watcher/ledger/sqlite.py)
]
BATCHES = [0, *(pytest.param(batch, marks=pytest.mark.fuzz) for batch in range(1, 11))]


@dataclass
class Fate:
    """What a story on a forgetful disk came to."""

    cuts: int = 0
    lost: list[str] = field(default_factory=list)
    state: Path = Path()


def endure(nursery: Nursery, folder: Path, seed: int, pragmas: list[str]) -> Fate:
    """Tell a story, cutting the power again and again, until it is told or something is lost."""
    rng = Random(f"cuts {seed}")
    fate = Fate(state=folder / "state 0")
    fate.state.mkdir(parents=True)
    step, known = 0, {}
    while not fate.lost:
        acks, journal = folder / "acks", folder / "journal"
        acks.write_bytes(b"")
        # a third of the cuts come while the ledger is created, recovered or just opened
        at = rng.randint(1, 60) if rng.random() < 0.35 else rng.randint(60, 900)
        disk = Disk(fate.state)
        status = nursery.live(Life(str(fate.state), str(acks), seed, step, STEPS, pragmas, str(journal), at))
        said = acknowledged(acks, step)
        step, known = said.next_step, known | said.ids
        if status == 0:
            return fate
        assert status == CUT
        fate.cuts += 1
        disk.play(journal.read_bytes())
        fate.state = folder / f"state {fate.cuts}"
        disk.cut(fate.state, rng)
        fate.lost = losses(fate.state, folder / "looked at", known)
    return fate


@pytest.mark.parametrize("batch", BATCHES)
def test_no_acknowledged_event_is_lost_in_a_power_cut(forgetful: Nursery, tmp_path: Path, batch: int) -> None:
    cuts, seed = 0, batch * 1000
    while cuts < CUTS:
        seed += 1
        fate = endure(forgetful, tmp_path / str(seed), seed, MANNERS[seed % 3])
        assert fate.lost == []
        check_told(fate.state, seed, STEPS)
        cuts += fate.cuts
        shutil.rmtree(tmp_path / str(seed))


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_ledger_that_does_not_wait_for_the_disk_loses(
    forgetful: Nursery, tmp_path: Path, synchronous: str
) -> None:
    pragmas = [f"synchronous={synchronous}"]
    # what a cut takes depends on ids that are drawn: now and then a whole story comes through
    fates = (endure(forgetful, tmp_path / str(seed), seed, pragmas) for seed in range(12))
    assert len([*islice((fate for fate in fates if fate.lost), 3)]) == 3
