"""SIGKILL, at any moment: nothing acknowledged is lost, and the story goes on as if nothing had been."""

from __future__ import annotations

import shutil
import signal
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.ledger.fates import check_told, losses
from tests.ledger.story import Life, acknowledged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger.conftest import Nursery

STEPS = 40
KILLS = 20  # a batch; `make test` runs one, `make fuzz` ten others
LONGEST_LIFE = 0.3  # seconds: some end before the ledger is open, some after many commits
LONGER = 1.1  # the next one: on a slow machine too the story comes to its end


@pytest.mark.parametrize("batch", [0, *(pytest.param(b, marks=pytest.mark.fuzz) for b in range(1, 11))])
def test_no_acknowledged_event_is_lost_when_the_process_is_killed(
    nursery: Nursery, tmp_path: Path, batch: int
) -> None:
    rng, kills, seed = Random(batch), 0, batch * 1000
    while kills < KILLS:
        seed += 1
        state, acks = tmp_path / str(seed), tmp_path / "acks"
        state.mkdir()
        step, known, status, longest = 0, {}, -signal.SIGKILL, LONGEST_LIFE
        while status == -signal.SIGKILL:
            acks.write_bytes(b"")
            after, longest = rng.uniform(0, longest), longest * LONGER
            status = nursery.live(Life(str(state), str(acks), seed, step, STEPS, kill_after=after))
            said = acknowledged(acks, step)
            step, known = said.next_step, known | said.ids
            kills += status == -signal.SIGKILL
            assert losses(state, tmp_path / "looked at", known) == []
        assert status == 0
        check_told(state, seed, STEPS)
        shutil.rmtree(state)
