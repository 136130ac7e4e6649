"""A wallet's window is by what the ledger knows of its scripts, whether or not they are on its list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import address
from tests.daemon.test_colliding_wallets import DESCRIPTOR, WALLET
from tests.walks.eye import Eye
from tests.walks.world import World, build, script
from watcher.app.kept import Succession
from watcher.app.relist import FOUND_AT_START, relist
from watcher.app.watchlist import Windows
from watcher.bitcoin.scripts import scripthash
from watcher.config.load import load_config
from watcher.ledger.watches import listed

if TYPE_CHECKING:
    from pathlib import Path

ALONE = f'descriptor = "{DESCRIPTOR}"'
BESIDES = f'address = "{address(WALLET.script(0, 4))}"\nlabel = "published"'


class Lists(Eye):
    """Its watch list is a config's: a treasury with a gap limit of three."""

    def relist(self, folder: Path, *watches: str) -> int:
        """Make these the watches of the config, and look; how many scripts are on the list now."""
        file = folder / "watcher.toml"
        file.write_text(
            """network = "regtest"
state_directory = "."
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:1"
[[treasuries]]
name = "alpha"
gap_limit = 3
"""
            + "".join(f"[[treasuries.watch]]\n{watch}\n" for watch in watches)
        )
        config = load_config(file, environ={})
        relist(self.connection, config, Windows(), self.settings, FOUND_AT_START, self.now_ms, Succession({}))
        known = {scripthash(script): script for script in (WALLET.script(0, i) for i in range(20))}
        self.scripts = {script: known[script] for _, script in listed(self.connection)}
        self.look()
        return len(self.scripts)


@pytest.fixture
def eye() -> Lists:
    """The third and the fifth script of the wallet are paid: the fifth is behind its first window."""
    world = World(1, {"before": [script("before")]})
    for index, outpoint in zip((2, 4), world.coins(mempool=False), strict=False):
        world.mine([build([outpoint], [(10_000, WALLET.script(0, index))], index)])
    return Lists(world, "one")


def test_a_wallet_that_is_listed_again_has_its_full_window_at_the_first_look(
    eye: Lists, tmp_path: Path
) -> None:
    assert [eye.relist(tmp_path, ALONE) for _ in range(3)] == [3, 6, 8]
    assert [eye.relist(tmp_path), eye.relist(tmp_path, ALONE)] == [0, 8]


def test_an_address_of_a_wallet_that_is_listed_by_itself_too_counts_as_used(
    eye: Lists, tmp_path: Path
) -> None:
    assert [eye.relist(tmp_path, ALONE, BESIDES) for _ in range(3)] == [4, 8, 8]
    labels = eye.connection.execute("SELECT label FROM watches WHERE removed_ms IS NULL").fetchall()
    assert [row["label"] for row in labels if row["label"]] == ["published"]
