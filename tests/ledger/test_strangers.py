"""What sources put into histories and what has nothing to do with them: named by the commit, not kept."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.bench.ledger_writes import inflows, opened
from tests.walks.world import script
from watcher.bitcoin.scripts import scripthash
from watcher.core.observation import Reading
from watcher.ledger.commit import commit

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_does_not_touch_the_script_it_is_said_to_be_on_is_a_stranger(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "state", 3)
    seen = inflows(ledger.watched[:2], 0, ledger.tip)
    elsewhere = inflows([script("nobody's")], 2, ledger.tip)
    (stranger,) = elsewhere.sightings
    third = scripthash(ledger.watched[2])
    false = replace(
        seen,
        sightings={**seen.sightings, **elsewhere.sightings},
        readings={**seen.readings, third: Reading(third, frozenset({stranger}), None)},
    )
    commits = [
        await ledger.writer.run(partial(commit, settings=ledger.settings, seen=observation))
        for observation in (false, false, elsewhere)
    ]
    await ledger.writer.close()
    assert [len(told.events) for told in commits] == [2, 0, 0]
    # the last is said of a script that is not on the list: nobody was to look at it
    assert [told.strangers for told in commits] == [(stranger,), (stranger,), ()]


async def test_what_is_read_in_pieces_is_held_against_the_script_too(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "state", 1)
    ours = scripthash(ledger.watched[0])
    elsewhere = inflows([script("nobody's")], 0, ledger.tip)
    (stranger,) = elsewhere.sightings
    piece = replace(elsewhere, readings={}, pieces={ours: frozenset({stranger})})
    told = await ledger.writer.run(partial(commit, settings=ledger.settings, seen=piece))
    await ledger.writer.close()
    assert told.strangers == (stranger,)
