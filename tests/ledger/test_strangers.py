"""What sources put into histories and what has nothing to do with them: named by the commit, not kept."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.bench.ledger_writes import inflows, opened
from tests.walks.eye import Eye
from tests.walks.world import World, build, script
from watcher.bitcoin.scripts import scripthash
from watcher.bitcoin.types import Confirmed, Outpoint, Txid, Unconfirmed
from watcher.core.observation import Observation, Reading, Sighting, Trust
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


def test_who_tells_of_a_payment_that_a_block_has_just_ousted_told_no_falsehood() -> None:
    ours, other = script("ours"), script("our other")
    world = World(3, {"t": [ours, other]})
    eye = Eye(world, "one")
    eye.look()
    coin = Outpoint(Txid("ab" * 32), 0)
    in_block, ousted = build([coin], [(5_000, ours)], 1), build([coin], [(4_000, other)], 2)
    readings = {
        scripthash(pays): Reading(scripthash(pays), frozenset({tx.txid}), None)
        for pays, tx in ((ours, in_block), (other, ousted))
    }
    sightings = {
        in_block.txid: Sighting(in_block, Confirmed(world.tip, 0), Trust.PROVEN, ("one",), 1_700_000_000),
        ousted.txid: Sighting(ousted, Unconfirmed(), Trust.REPORTED, ("one",)),
    }
    seen = Observation(eye.now_ms + 1_000, world.tip, None, sightings, readings)
    told = commit(eye.connection, eye.settings, seen)
    assert [event.type for event in told.events] == ["tx.confirmed"]
    assert told.strangers == ()


async def test_what_is_read_in_pieces_is_held_against_the_script_too(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "state", 1)
    ours = scripthash(ledger.watched[0])
    elsewhere = inflows([script("nobody's")], 0, ledger.tip)
    (stranger,) = elsewhere.sightings
    piece = replace(elsewhere, readings={}, pieces={ours: frozenset({stranger})})
    told = await ledger.writer.run(partial(commit, settings=ledger.settings, seen=piece))
    await ledger.writer.close()
    assert told.strangers == (stranger,)
