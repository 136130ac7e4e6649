"""A stale treasury that leaves the config, and is there again: it stands no longer, and is told anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.daemon.places import Place, fresh
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

STALE: Final = "watcher_condition_active"


async def stands(daemon: Daemon, value: int | None) -> None:
    """Until the metric has it that the second treasury is stale, is not, or is no treasury."""

    async def is_so() -> bool:
        return await daemon.metric(STALE, condition="stale", treasury="beta") == value

    await until(is_so, within=120, what=f"beta's condition at {value}")


async def test_a_stale_treasury_that_leaves_the_config_is_told_anew_when_it_is_back(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    whole = place.config().replace('reread = "2s"', 'reread = "2s"\nstale_after = "5s"')
    head, beta, rest = whole.partition('[[treasuries]]\nname = "beta"')
    async with place.daemon(whole) as daemon:
        await fresh(daemon)
        await toy.stop()
        await stands(daemon, 1)
        for config, value in ((f"{head}[[rules]]{rest.partition('[[rules]]')[2]}", None), (whole, 1)):
            assert beta
            daemon.config = config
            daemon.write_config()
            assert (await daemon.command("reload")).code == 0
            await stands(daemon, value)
        told = [e["type"] for e in await daemon.events() if e["data"].get("condition") == "stale"]
        assert told.count("treasury.stale") == 3
