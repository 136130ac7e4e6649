"""`verify --online`: what the ledger lacks is found where any source shows it, and proven where it can be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.daemon.places import ALPHA, BETA, Place, fresh
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon, Outcome

HIDDEN_SATS = 70_000


async def verified(daemon: Daemon) -> Outcome:
    return await daemon.command("verify", "--online")


async def test_what_the_only_source_hid_is_found_by_asking_another(tmp_path: Path) -> None:
    chain = ToyChain()
    chain.pay(ALPHA, 500_000)
    hidden = chain.pay(ALPHA, HIDDEN_SATS)
    chain.pay(BETA, 1_000)
    chain.mine()
    height = chain.height
    async with ToyElectrum(chain) as liar, ToyElectrum(chain) as honest:
        liar.omit(hidden)
        here = Place(tmp_path, {"home": liar.url})
        async with here.daemon() as daemon:
            await fresh(daemon)
            alone = await verified(daemon)
            assert (alone.code, alone.err) == (0, "")
            assert (
                "source home: 2 scripts, 2 transactions in blocks, 0 of them not in the ledger" in alone.out
            )
        # beside the ledger that the daemon left: the other source is in the config now
        daemon.config = replace(here, sources={"home": liar.url, "other": honest.url}).config()
        daemon.write_config()
        found = await verified(daemon)
        assert (found.code, found.err) == (1, "")
        assert "source other: 2 scripts, 3 transactions in blocks, 1 of them not in the ledger" in found.out
        said = f"lacking: alpha: transaction {hidden} in block {height}, shown by other, "
        assert f"{said}proven" in found.out
        honest.forge_merkle()
        assert f"{said}by its word alone" in (await verified(daemon)).out
        daemon.config = daemon.config.replace('name = "alpha"', 'name = "alpha"\nsources = ["home"]', 1)
        daemon.write_config()
        kept = await verified(daemon)  # the other may not learn alpha
        assert kept.code == 0, kept.out
        assert "source other: 1 script, 1 transaction in blocks, 0 of them not in the ledger" in kept.out


async def test_where_nobody_answers_nothing_is_said_to_hold(toy: ToyElectrum, tmp_path: Path) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        await toy.stop()
        done = await verified(daemon)
    assert (done.code, done.err) == (1, "")
    assert "source home: not asked to the end: unavailable: " in done.out
    assert (await daemon.command("verify")).code == 0
