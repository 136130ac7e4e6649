"""A newer package knows another address of a treasury that somebody watches by name: told like any change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.daemon.places import ALPHA, BETA, Place, address, fresh
from tests.stack.processes import until
from watcher.config.load import catalogue

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

ROOT: Final = Path(__file__).parents[2]


def package(folder: Path, entry: str) -> Path:
    """The package as it is installed, with one more treasury in its catalogue."""
    shutil.copytree(ROOT / "watcher", folder / "watcher", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(next(iter(catalogue().values())).parents[1], folder / "watcher" / "_config")
    (folder / "watcher" / "_config" / "treasuries" / "example.toml").write_text(entry)
    return folder


def example(*scripts: bytes, title: str = "An example") -> str:
    watched = "".join(
        f'[[watch]]\naddress = "{address(each)}"\nby = "its owner"\nread = 2026-11-24\n' for each in scripts
    )
    return f'name = "example"\ntitle = "{title}"\nattribution = "self_published"\n{watched}'


def of(place: Place, package: Path, listen: str | None = None) -> Daemon:
    """A daemon of that package that watches the example."""
    head, _, rest = place.config(listen=listen).partition("[[treasuries]]")
    rules = rest.partition("[[rules]]")[2]
    config = f'catalogue = ["example"]\n{head}[[rules]]{rules}'
    # the daemon is started in the repository's folder, whose own package must not be found first
    return place.daemon(config, PYTHONPATH=str(package), PYTHONSAFEPATH="1")


async def told(daemon: Daemon, count: int) -> list[str]:
    """The types of the log's events, as soon as there are so many."""

    async def there() -> list[str]:
        found = [event["type"] for event in await daemon.events()]
        return found if len(found) >= count else []

    return await until(there, within=60, what=f"{count} events")


async def test_a_changed_entry_of_the_catalogue_is_told_with_all_that_follows(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    place = Place(tmp_path / "place", {"home": toy.url})
    toy.chain.pay(ALPHA, 50_000)
    toy.chain.pay(BETA, 7_000)
    toy.chain.mine()
    old = package(tmp_path / "old", example(ALPHA))
    async with of(place, old) as daemon:
        await fresh(daemon)
        assert await told(daemon, 1) == ["watch.baselined"]
        await daemon.restart()  # the same package: nothing to tell
        await fresh(daemon)
        assert len(await daemon.events()) == 1
        assert await daemon.terminate() == 0
        listen = daemon.url.removeprefix("http://")
    new = package(tmp_path / "new", example(ALPHA, BETA))
    async with of(place, new, listen) as daemon:
        assert await told(daemon, 4) == [
            "watch.baselined",
            "watch.added",
            "config.changed",
            "watch.baselined",
        ]
        changed = (await daemon.events())[2]["data"]
        assert changed["difference"] == [{"what": "treasury", "name": "example", "change": "changed"}]
        assert (changed["reason"], changed["by"]) == ("found at start", None)
        assert (await daemon.events())[3]["data"]["balance_sats"]["confirmed"] == 57_000
        assert (await daemon.command("verify")).code == 0
        assert await daemon.terminate() == 0
    renamed = package(tmp_path / "renamed", example(ALPHA, BETA, title="Another name"))
    async with of(place, renamed, listen) as daemon:
        assert (await told(daemon, 5))[4] == "config.changed"
        again = (await daemon.events())[4]["data"]
        assert again["difference"] == changed["difference"]
