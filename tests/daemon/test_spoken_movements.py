"""What the log file says: of coins that moved how much, the addresses only where asked; what is not well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, address, fresh, log_has
from tests.stack.receiver import SECRET, Receiver, status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.toy.electrum import ToyElectrum


@pytest.mark.parametrize("shown", ["everywhere", "page", "nowhere"])
async def test_a_movement_is_a_line_of_the_log_and_its_address_only_everywhere(
    shown: str, toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    named = shown == "everywhere"
    async with place.daemon(f'show_addresses = "{shown}"\n{place.config()}') as daemon:
        await fresh(daemon)
        txid = toy.chain.pay(ALPHA, 50_000)
        await log_has(daemon, "msg=tx.seen")
        toy.chain.mine()
        await log_has(daemon, "msg=tx.confirmed")
        [seen, confirmed] = [line for line in daemon.child.log.read_text().splitlines() if "msg=tx." in line]
        for line in (seen, confirmed):
            assert "level=info" in line
            assert "treasury=alpha flow=inflow amount_sats=50000 event=evt_" in line
            assert (f"txid={txid}" in line, f"addresses={address(ALPHA)}" in line) == (named, named)


async def test_of_many_at_once_the_log_file_says_some_and_how_many_more(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        toy.chain.mine(30)
        await fresh(daemon)
        for _ in range(30):  # with no await between them: they are heard of together
            toy.chain.pay(ALPHA, 1_000)
        await log_has(daemon, "in the log of events")
        lines = daemon.child.log.read_text().splitlines()
        said = [line for line in lines if "msg=tx.seen" in line]
        assert len(said) == 20
        assert any('msg="and 10 more in the log of events"' in line for line in lines)


async def test_an_endpoint_that_is_not_reached_is_a_line_of_the_log_when_it_begins_and_when_it_ends(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        place = Place(tmp_path, {"home": toy.url}, receiver.url)
        (tmp_path / "ops.secret").write_text(SECRET)
        async with place.daemon() as daemon:
            await fresh(daemon)
            receiver.answer = status(410)
            toy.chain.pay(ALPHA, 50_000)
            await log_has(daemon, "msg=endpoint.failed endpoint=ops reason=gone event=evt_")
            receiver.answer = status(204)
            (dead,) = (await daemon.get("/api/v1/deliveries?state=dead")).json()["deliveries"]
            assert (await daemon.command("redeliver", str(dead["id"]))).code == 0
            await log_has(daemon, "msg=endpoint.recovered endpoint=ops")
            lines = daemon.child.log.read_text().splitlines()
            assert len([line for line in lines if "msg=endpoint." in line]) == 2


async def test_a_treasury_that_is_not_fresh_is_a_line_of_the_log_when_it_begins_and_when_it_ends(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(place.config().replace("[timing]", '[timing]\nstale_after = "3s"')) as daemon:
        await fresh(daemon)
        await toy.stop()
        await log_has(daemon, "msg=treasury.stale treasury=alpha reason=")
        await toy.start()
        await log_has(daemon, "msg=treasury.fresh treasury=alpha")
