"""A rule about `disagreement`: who is told when a source is caught, and not by whom else it was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, Place, fresh
from tests.stack.receiver import Receiver
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from pathlib import Path

RULE = """
[[rules]]
name = "liars"
on = ["disagreement"]
severity = "critical"
send_to = ["ops"]
"""


async def test_a_source_that_leaves_out_what_is_proven_is_told_of_by_the_rule(tmp_path: Path) -> None:
    chain = ToyChain()
    paid = chain.pay(ALPHA, 500_000)
    chain.mine()
    async with ToyElectrum(chain) as honest, ToyElectrum(chain) as liar, Receiver() as receiver:
        here = Place(tmp_path, {"home": honest.url, "other": liar.url}, receiver.url)
        async with here.daemon(here.config(extra=RULE)) as daemon:
            await fresh(daemon)
            liar.omit(paid)
            liar.disconnect_all()
            told = await receiver.wait_for(lambda one: one.type == "source.disagreed", within=120)
            assert (told.data["source"], told.data["reason"]) == ("other", "omitted")
            assert (told.data["rules"], told.data["severity"]) == (["liars"], "critical")
            assert told.data["condition"] == "disagreement"
            assert await daemon.metric("watcher_condition_active", condition="disagreement") == 1
