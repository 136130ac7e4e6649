"""A treasury whose memberships have all ended, or not begun: there is nothing of it that could be fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import Place, fresh
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum


def config(place: Place, alpha: str = "", *, listen: str | None = None) -> str:
    """Two treasuries that are soon stale, with this said of the first one's script."""
    text = place.config(listen=listen).replace('reread = "2s"', 'reread = "2s"\nstale_after = "5s"')
    return text.replace('label = "main"', f'label = "main"\n{alpha}')


async def reload(daemon: Daemon, text: str) -> None:
    daemon.config = text
    daemon.write_config()
    assert (await daemon.command("reload")).code == 0


async def scripts_are(daemon: Daemon, count: int) -> None:
    async def is_so() -> bool:
        return await daemon.metric("watcher_treasury_scripts", treasury="alpha") == count

    await until(is_so, within=60, what=f"alpha to have {count} scripts")


async def told(daemon: Daemon, kind: str) -> list[str]:
    """The treasuries of which this was told, as soon as one is beta."""

    async def there() -> list[str]:
        found = [e["data"]["treasury"] for e in await daemon.events() if e["type"] == kind]
        return found if "beta" in found else []

    return await until(there, within=120, what=f"{kind} of beta")


@pytest.mark.parametrize(
    "alpha", ["member_from = 2099-01-01", "member_from = 1_000_000", "member_until = 2020-01-01"]
)
async def test_a_treasury_that_has_nothing_now_keeps_no_daemon_from_being_fresh(
    alpha: str, toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(config(place, alpha)) as daemon:
        await fresh(daemon)
        assert await daemon.metric("watcher_treasury_fresh", treasury="alpha") is None
        assert await daemon.metric("watcher_treasury_fresh", treasury="beta") == 1
        assert (await daemon.command("status", "--check")).code == 0
        await reload(daemon, config(place, listen=daemon.url.removeprefix("http://")))
        await scripts_are(daemon, 1)
        await fresh(daemon)

        async def is_fresh() -> bool:
            return await daemon.metric("watcher_treasury_fresh", treasury="alpha") == 1

        await until(is_fresh, within=60, what="alpha to be fresh")


async def test_a_treasury_whose_memberships_have_ended_does_not_become_stale(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(config(place)) as daemon:
        await fresh(daemon)
        listen = daemon.url.removeprefix("http://")
        await reload(daemon, config(place, "member_until = 2020-01-01", listen=listen))
        await scripts_are(daemon, 0)
        await fresh(daemon)
        await toy.stop()
        # alpha was read before, and is looked at first
        assert await told(daemon, "treasury.stale") == ["beta"]
        await toy.start()
        assert await told(daemon, "treasury.fresh") == ["beta"]
        await fresh(daemon)
        assert await daemon.metric("watcher_treasury_fresh", treasury="alpha") is None
        assert await daemon.metric("watcher_condition_active", condition="stale", treasury="alpha") == 0


async def test_before_a_tip_is_known_nobody_can_say_that_a_treasury_has_not_begun(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    await toy.stop()
    place = Place(tmp_path, {"home": toy.url})
    text = config(place, "member_from = 1")
    head, _, rest = text.partition('[[treasuries]]\nname = "beta"')
    async with place.daemon(f"{head}[[rules]]{rest.partition('[[rules]]')[2]}") as daemon:
        assert (await daemon.get("/freshz")).status == 503
        await toy.start()
        await scripts_are(daemon, 1)
        await fresh(daemon)


async def test_what_a_reload_leaves_empty_is_not_stale_while_no_source_is_there_to_take_up_the_list(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(config(place)) as daemon:
        await fresh(daemon)
        await toy.stop()
        listen = daemon.url.removeprefix("http://")
        await reload(daemon, config(place, "member_until = 2020-01-01", listen=listen))
        assert await told(daemon, "treasury.stale") == ["beta"]
        await toy.start()
        await fresh(daemon)
        assert await daemon.metric("watcher_condition_active", condition="stale", treasury="alpha") == 0


async def test_one_that_begins_again_while_no_source_is_there_was_never_read_and_is_not_stale(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path, {"home": toy.url})
    async with place.daemon(config(place)) as daemon:
        await fresh(daemon)
        listen = daemon.url.removeprefix("http://")
        await reload(daemon, config(place, "member_until = 2020-01-01", listen=listen))
        await scripts_are(daemon, 0)

        async def is_taken_up() -> bool:
            return toy.counts["blockchain.scripthash.unsubscribe"] > 0

        await until(is_taken_up, within=60, what="the list without alpha")
        await toy.stop()
        await reload(daemon, config(place, listen=listen))
        await scripts_are(daemon, 1)
        assert await told(daemon, "treasury.stale") == ["beta"]  # alpha is looked at first
        await toy.start()
        assert await told(daemon, "treasury.fresh") == ["beta"]
        await fresh(daemon)
        assert await daemon.metric("watcher_treasury_fresh", treasury="alpha") == 1
